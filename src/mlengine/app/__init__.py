"""The plan: settings in, wired application out."""
