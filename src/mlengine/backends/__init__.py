"""What the server stands on: processes, folders, databases. Each module fulfils a port its user wrote."""
