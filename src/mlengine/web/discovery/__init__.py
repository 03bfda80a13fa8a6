"""What the API looks like, told to machines and people, from the method table alone."""
