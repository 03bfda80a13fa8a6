"""What can be known to fail before a job runs: one set of checks for the command line and the server.

At ground level, for both sides ask it and must never come to two verdicts. Nothing here talks to a server:
what only a server knows (buckets, objects, accelerators) comes in through `Surroundings`.
"""
