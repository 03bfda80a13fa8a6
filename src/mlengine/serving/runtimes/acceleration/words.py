"""The ways in which a faster form gives up, and the names that its parts share."""

from __future__ import annotations


class Unsupported(Exception):
    """There is no faster form of this; the message says of what."""


class Unusual(Exception):
    """This request is one that the original must answer: with an error of its own, or on a rare path."""
