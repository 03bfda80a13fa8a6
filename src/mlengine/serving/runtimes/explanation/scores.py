"""Which number of a model's answer is explained: the predicted class's, or the value."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mlengine.serving.runtimes.model import BadOutput, LoadFailed, Model, Signature

# Of several outputs of numbers, the one that says how sure a model is.
_USUAL = ("probabilities", "probability", "scores", "logits")
_MOST_VALUES = 64


class Scores(NamedTuple):
    """What a model said to some rows.

    Attributes:
        table: 64-bit numbers (row, label).
        picks: The label that is predicted, per row.
    """

    table: Any
    picks: list[int]


class Target:
    """Reads scores from answers.

    Attributes:
        name: Of the output.
        every: Whether all values of an answer are explained, since none of them is chosen by the model.

    Args:
        output: The key of the output; empty where an answer is one.
        name: What it is called.
        every: See above.
        classes: The labels, where the model says them beside their probabilities.
    """

    def __init__(self, output: str, *, name: str = "", every: bool = False, classes: Any = None) -> None:
        self.output = output
        self.name = name or output
        self.every = every
        self._classes = None if classes is None else {label: at for at, label in enumerate(classes)}

    def read(self, signature: Signature, outputs: Any, count: int) -> Scores:
        """The scores in what `run` returned. Raises BadOutput where they are no numbers."""
        labels = None
        if isinstance(outputs, tuple):
            labels, outputs = outputs
        elif isinstance(outputs, dict):
            outputs = outputs[self.output]
        elif not isinstance(outputs, np.ndarray):
            outputs = signature.predictions(outputs, 0, count)
        try:
            table = np.asarray(outputs, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise BadOutput(
                f"what the model answers is no number, and so nothing to explain: {error}"
            ) from error
        if table.ndim not in (1, 2) or len(table) != count:
            raise BadOutput(
                f"an answer has shape {table.shape[1:]}; only a number, or a list of them, can be explained"
            )
        table = table.reshape(count, -1)
        if labels is not None and self._classes is not None:
            return Scores(table, [self._classes[label] for label in np.asarray(labels).tolist()])
        # NaN is never the largest.
        return Scores(table, np.where(np.isnan(table), -np.inf, table).argmax(axis=1).tolist())

    def labels(self, scores: Scores, row: int) -> list[int]:
        """The labels to explain of one row. Raises BadOutput."""
        if not self.every:
            return [scores.picks[row]]
        values = scores.table.shape[1]
        if values > _MOST_VALUES:
            raise BadOutput(f"an answer has {values} values; at most {_MOST_VALUES} are explained at once")
        return list(range(values))


def asked_of(model: Model, signature: Signature) -> Signature:
    """The signature that answers numbers, where the one that a request means answers labels."""
    return model.signatures.get("predict_proba", signature)


def target_of(model: Model, outputs: Any, *, output: str = "", name: str = "") -> Target:
    """What of an answer is explained. Raises LoadFailed where there is no such number.

    Args:
        model: Whose answer.
        outputs: What it said to one row.
        output: The key that the model's owner wants; empty to find one.
        name: What that is called in answers.
    """
    if isinstance(outputs, dict):
        return _of_tensors(outputs, output, name)
    if isinstance(outputs, tuple):
        return Target("", name="probabilities", classes=np.asarray(model.source.classes_).tolist())
    source = model.source
    if model.framework == "xgboost" and hasattr(source, "save_config"):
        if '"multi:softmax"' in source.save_config():
            raise LoadFailed(
                "The objective multi:softmax answers labels, which cannot be explained. Train with "
                "multi:softprob."
            )
        return Target("", name="predictions")
    if getattr(source, "classes_", None) is not None:
        raise LoadFailed(
            f"{type(source).__name__} has no predict_proba, so its answers are labels, which cannot be "
            f"explained. Wrap it in sklearn.calibration.CalibratedClassifierCV, or set probability=True."
        )
    # What groups instances, or finds the odd ones among them.
    if hasattr(source, "fit_predict"):
        raise LoadFailed(f"{type(source).__name__} answers labels, which cannot be explained.")
    # A vector of a booster holds probabilities; one of a regression as many values.
    every = not hasattr(source, "num_model_per_iteration")
    return Target("", name="predictions", every=every)


def _of_tensors(outputs: dict[str, Any], output: str, name: str) -> Target:
    numbers = [
        key
        for key, answer in outputs.items()
        if getattr(getattr(answer, "dtype", None), "kind", "") == "f" and answer.ndim <= 2
    ]
    if output:
        if output not in numbers:
            raise LoadFailed(f"Output {output} is no number or list of numbers, and cannot be explained.")
        return Target(output, name=name)
    usual = [key for key in _USUAL if key in numbers]
    if len(numbers) == 1 or usual:
        return Target((usual or numbers)[0])
    if not numbers:
        raise LoadFailed(
            f"No output of the model is a number or a list of numbers, so there is nothing to explain. It "
            f"has: {', '.join(outputs)}."
        )
    raise LoadFailed(
        f"Several outputs could be explained: {', '.join(numbers)}. Name one in explanation_metadata.json "
        f'beside the model: {{"outputs": {{"{numbers[0]}": {{}}}}}}.'
    )
