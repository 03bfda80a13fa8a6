"""The way between HTTP and the services: method table, routing, error envelopes."""
