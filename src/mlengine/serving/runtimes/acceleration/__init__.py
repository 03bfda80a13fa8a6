"""Faster forms of a loaded model, used only where they have been seen to answer as the original does."""

from __future__ import annotations

from mlengine.serving.runtimes.acceleration.choice import accelerate

__all__ = ["accelerate"]
