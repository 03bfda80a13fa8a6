"""The language of --format, --filter and --sort-by; apart, so that help and plain errors never load it."""
