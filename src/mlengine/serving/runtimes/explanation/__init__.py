"""Says what a prediction rests on: how much each feature moved it away from that of a baseline.

Two methods, small enough to be ours: the packages that have them bring compilers or plotting libraries
into every runtime.
"""

from __future__ import annotations

from mlengine.serving.runtimes.explanation.explainer import Explainer, explained

__all__ = ["Explainer", "explained"]
