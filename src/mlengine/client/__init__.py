"""What a program outside the server needs to use it: HTTP, resources, buckets, packages. Prints nothing."""
