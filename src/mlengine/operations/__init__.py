"""Long-running operations: what was asked, and how it ended."""
