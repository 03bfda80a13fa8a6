"""Models and their versions: what exists, which one is the default, and how each stands."""
