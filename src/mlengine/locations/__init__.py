"""Locations: the names of Google's regions, all of which are this machine."""
