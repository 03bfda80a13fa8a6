"""Attributions in the shape in which Google's service answered them."""

from __future__ import annotations

from typing import Any


def explanation(attributions: list[dict[str, Any]]) -> dict[str, Any]:
    """What is said of one instance, by label."""
    return {"attributions_by_label": attributions}


def attribution(
    attributions: dict[str, Any],
    *,
    baseline_score: float,
    example_score: float,
    label_index: int,
    output_name: str,
    error: float | None,
) -> dict[str, Any]:
    """What is said of one label of one instance.

    Args:
        attributions: By feature.
        baseline_score: Of the baseline.
        example_score: Of the instance.
        label_index: Which value of the output.
        output_name: Which output.
        error: By how much the attributions may be wrong together, or do not add up; None where nothing tells.
    """
    said = {
        "attributions": attributions,
        "baseline_score": baseline_score,
        "example_score": example_score,
        "label_index": label_index,
        "output_name": output_name,
    }
    if error is not None:
        # Relative to what is explained; where that is nothing, as it is.
        said["approx_error"] = error / (abs(example_score - baseline_score) or 1.0)
    return said
