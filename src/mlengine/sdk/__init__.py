"""The server from Python: the clients that `mlengine` offers, and what they hand out. Prints nothing.

Client building: it is on `client`, as the command line is, and meets the server over HTTP alone.
"""
