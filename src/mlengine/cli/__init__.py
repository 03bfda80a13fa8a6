"""The command `mlengine`: reads a line, calls `mlengine.client`, prints. Decides nothing itself."""
