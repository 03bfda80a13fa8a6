"""Who asks: which of our jobs, and which service account, by its keys."""
