"""What jobs say: lines in files, read as Cloud Logging entries."""
