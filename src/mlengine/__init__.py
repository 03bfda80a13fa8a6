"""mlengine: open, self-hosted Cloud ML Engine."""

__version__ = "0.1.0"
