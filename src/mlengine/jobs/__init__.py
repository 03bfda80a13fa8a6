"""Training jobs: what they are, where they are kept, and how they move on."""
