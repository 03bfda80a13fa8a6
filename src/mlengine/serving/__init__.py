"""Deployed versions: their life, the processes that answer for them, and the way of a prediction."""
