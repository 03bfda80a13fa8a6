"""The web console: files for a browser, which meets the server only over the public REST API."""
