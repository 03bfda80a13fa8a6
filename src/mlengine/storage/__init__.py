"""Buckets and objects: rows in the database, contents in a blob store."""
