"""Explains the predictions of one loaded model, a call of the model at a time.

Whoever asks gets a generator: between two of its steps, others may be answered.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mlengine.serving.runtimes.explanation import answer, baseline
from mlengine.serving.runtimes.explanation.cases import Cases, Mixture, ObjectCases, TableCases, TensorCases
from mlengine.serving.runtimes.explanation.gradients import (
    Gradients,
    check,
    gradients_of,
    refuse_without_gradients,
)
from mlengine.serving.runtimes.explanation.integrated_gradients import Line
from mlengine.serving.runtimes.explanation.metadata import FILE as METADATA_FILE
from mlengine.serving.runtimes.explanation.metadata import Metadata, metadata_of
from mlengine.serving.runtimes.explanation.method import Method, method_of
from mlengine.serving.runtimes.explanation.pace import Pace
from mlengine.serving.runtimes.explanation.sampled_shapley import Game, coalitions
from mlengine.serving.runtimes.explanation.scores import Scores, Target, asked_of, target_of
from mlengine.serving.runtimes.model import BadOutput, LoadFailed, Model, RawInstances, Refused, Signature
from mlengine.serving.runtimes.options import Options
from mlengine.serving.runtimes.rules import DEFAULT_RULES, Rules

MOST_ROWS = 200_000
"""Rows that a model is asked for one request."""
_WITHOUT_PAUSE = 32
"""Instances whose values are computed in one step."""

Steps = Generator[None, None, list[dict[str, Any]]]


@dataclass(frozen=True)
class Explainer:
    """How a version explains. Its model is handed in with each request, as it may have got a faster form.

    Attributes:
        method: Which method.
        table: Rows to compare with; None where instances are no rows of a table.
        ignored: Positions in a row that the model does not look at.
        baselines: What to compare with, by field or input; empty for tables.
        metadata: What `explanation_metadata.json` says, if it is there.
    """

    method: Method
    table: list[Any] | None = None
    ignored: tuple[int, ...] = ()
    baselines: dict[str, Any] | None = None
    metadata: Metadata | None = None

    def explain(self, model: Model, signature: Signature, instances: RawInstances) -> Steps:
        """Explain each of `instances`.

        Raises:
            Refused: the request can never be explained.
            BadOutput: what the model answers cannot be explained.
            Exception: whatever the model raises.
        """
        signature = asked_of(model, signature)
        cases = self._cases(model, signature, instances)
        counts = [len(cases.players(at)) for at in range(cases.count)]
        self._bound(counts)
        run = _Run(model, signature, cases)
        yield from run.begin(self.metadata)
        if self.method.steps:
            return (yield from self._gradients(model, signature, run))
        return (yield from self._shapley(run, counts))

    def _cases(self, model: Model, signature: Signature, instances: RawInstances) -> Cases:
        if self.table is not None:
            names = [column["name"] for column in model.description["inputs"]]
            return TableCases(signature, instances, baseline=self.table, names=names, ignored=self.ignored)
        baselines = self.baselines or {}
        if model.description["instance"] == "tensor":
            named = self.metadata.inputs if self.metadata is not None else {}
            return TensorCases(signature, instances, baselines=baselines, metadata=named)
        return ObjectCases(signature, instances, baseline=baselines)

    def _bound(self, counts: list[int]) -> None:
        """Refuse what would take too long. Raises Refused."""
        each = [1 + (self.method.steps or coalitions(count, self.method.paths)) for count in counts]
        if sum(each) <= MOST_ROWS:
            return
        if max(each) > MOST_ROWS:
            cure = f"One instance needs {max(each)}; make a version with fewer paths or steps."
        else:
            cure = f"Send at most {max(1, MOST_ROWS // max(each))} instances in one request."
        raise Refused(
            f"To explain this request the model would be asked with {sum(each)} rows; at most {MOST_ROWS} "
            f"are asked for one. {cure}"
        )

    def _shapley(self, run: _Run, counts: list[int]) -> Steps:
        games: list[Game] = []
        waiting: list[Mixture] = []
        held = 0
        for at, count in enumerate(counts):
            game = Game(count, self.method.paths)
            games.append(game)
            for masks in game.pieces():
                start = 0
                while start < len(masks):
                    piece = masks[start : start + max(1, run.pace.rows - held)]
                    waiting.append((at, piece))
                    held += len(piece)
                    start += len(piece)
                    if held >= run.pace.rows:
                        run.score(waiting)
                        waiting, held = [], 0
                        yield
        if waiting:
            run.score(waiting)
            yield
        said = []
        for at, game in enumerate(games):
            labels = []
            for place, label in enumerate(run.labels[at]):
                empty, full = run.ends(at, place)
                scores = [value for part in run.found[at] for value in part[:, place].tolist()]
                values, error = game.attributions(scores, empty=empty, full=full)
                known = game.exact or self.method.paths > 1
                told = run.cases.told(at, values)
                labels.append(run.told(at, place, label, told, error if known else None))
            said.append(answer.explanation(labels))
            if at % _WITHOUT_PAUSE == _WITHOUT_PAUSE - 1:
                yield
        return said

    def _gradients(self, model: Model, signature: Signature, run: _Run) -> Steps:
        cases = run.cases
        assert isinstance(cases, TensorCases)
        ask = gradients_of(model, signature, run.target.output)
        said = []
        for at in range(cases.count):
            labels = []
            for place, label in enumerate(run.labels[at]):
                line = Line(
                    {name: array[at] for name, array in cases.arrays.items()},
                    cases.baseline,
                    self.method.steps,
                )
                start = 0
                while start < line.steps:
                    stop = min(line.steps, start + run.pace.rows)
                    run.timed(ask, line, start, stop, label)
                    start = stop
                    yield
                values = line.attributions()
                empty, full = run.ends(at, place)
                total = sum(float(array.sum()) for array in values.values())
                labels.append(run.told(at, place, label, cases.named(values), abs(total - (full - empty))))
            said.append(answer.explanation(labels))
        return said


class _Run:
    """What has been found out for one request.

    Attributes:
        found: By instance, the scores of its coalitions: arrays (coalition, label to explain).
        labels: By instance, the labels to explain.
        target: Which numbers of an answer count.
        pace: How much to ask at once.
    """

    def __init__(self, model: Model, signature: Signature, cases: Cases) -> None:
        rules: Rules = model.rules or DEFAULT_RULES
        self.cases = cases
        self.found: list[list[Any]] = [[] for _ in range(cases.count)]
        self.labels: list[list[int]] = []
        self.target = Target("")
        self.pace = Pace(rules.max_batch_size)
        self._model = model
        self._signature = signature
        self._full: list[Any] = []
        self._empty: list[Any] = []

    def begin(self, metadata: Metadata | None) -> Generator[None, None, None]:
        """Score the instances and their baseline, and see which labels are to be explained."""
        full: list[Mixture] = [
            (at, np.ones((1, len(self.cases.players(at))), dtype=bool)) for at in range(self.cases.count)
        ]
        start = 0
        while start < len(full):
            part = full[start : start + self.pace.rows]
            outputs, count = self._ask(part)
            if not start:
                self.target = _target(self._model, outputs, metadata)
            scores = self.target.read(self._signature, outputs, count)
            for row in range(count):
                self._full.append(scores.table[row])
                self.labels.append(self.target.labels(scores, row))
            start += len(part)
            yield
        # Whatever an instance has that the model ignores: the baseline's score is the same for all.
        outputs, count = self._ask([(0, np.zeros((1, len(self.cases.players(0))), dtype=bool))])
        self._empty = self.target.read(self._signature, outputs, count).table[0]
        yield

    def score(self, mixtures: list[Mixture]) -> None:
        """Ask once, and leave the scores with their instances."""
        outputs, count = self._ask(mixtures)
        scores: Scores = self.target.read(self._signature, outputs, count)
        start = 0
        for at, masks in mixtures:
            stop = start + len(masks)
            self.found[at].append(scores.table[start:stop][:, self.labels[at]])
            start = stop

    def ends(self, at: int, place: int) -> tuple[float, float]:
        """The scores of the baseline and of an instance, for one of its labels."""
        label = self.labels[at][place]
        return float(self._empty[label]), float(self._full[at][label])

    def told(
        self, at: int, place: int, label: int, said: dict[str, Any], error: float | None
    ) -> dict[str, Any]:
        """What is answered about one label of an instance."""
        empty, full = self.ends(at, place)
        return answer.attribution(
            said,
            baseline_score=empty,
            example_score=full,
            label_index=label,
            output_name=self.target.name,
            error=error,
        )

    def timed(self, ask: Gradients, line: Line, start: int, stop: int, label: int) -> None:
        """Ask for gradients once."""
        began = time.perf_counter()
        found = ask(line.points(start, stop), [label] * (stop - start))
        self.pace.took(time.perf_counter() - began, stop - start)
        line.add(found)

    def _ask(self, mixtures: list[Mixture]) -> tuple[Any, int]:
        began = time.perf_counter()
        rows = self.cases.rows(mixtures)
        outputs = self._signature.run(rows)
        self.pace.took(time.perf_counter() - began, rows.count)
        return outputs, rows.count


def explained(model: Model, options: Options, model_dir: Path, *, bare: Model) -> Model:
    """`model` with its explainer, where the version wants one, after that has been tried.

    Args:
        model: Loaded, under the rules of the version.
        options: Of the version.
        model_dir: Its artefacts.
        bare: The same model before anything of its owner's was laid over what its framework tells.

    Raises:
        LoadFailed: it cannot be explained that way.
    """
    if options.explanation is None:
        return model
    method = method_of(options.explanation)
    if method.steps:
        refuse_without_gradients(model)
    signature = asked_of(model, model.signatures[model.default or min(model.signatures)])
    failure: Exception | None = None
    for explainer in _candidates(method, model, bare, model_dir):
        for sample in model.samples or [explainer.baselines]:
            try:
                _try(explainer, model, signature, sample)
            except LoadFailed:
                raise
            except Exception as error:  # another baseline, or another sample, may do
                failure = error
                continue
            return replace(model, explainer=explainer)
    why = failure.message if isinstance(failure, Refused) else str(failure)
    raise LoadFailed(
        f"The model predicts, but its predictions cannot be explained: {why} If the baseline is at fault, "
        f'give one in schema.json beside the model: {{"inputs": [{{"name": …, "baseline": …}}]}}.'
    ) from failure


def _candidates(method: Method, model: Model, bare: Model, model_dir: Path) -> list[Explainer]:
    """One explainer per baseline to try. Raises LoadFailed."""
    rules: Rules = model.rules or DEFAULT_RULES
    description = bare.describe()
    kind = description["instance"]
    if kind != "tensor" and (model_dir / METADATA_FILE).is_file():
        raise LoadFailed(
            f"{METADATA_FILE} can have no effect: it speaks of tensors, and instances of this model are "
            f"none. Give baselines in schema.json."
        )
    if kind == "row":
        ignored = tuple(
            at
            for at, column in enumerate(description["inputs"])
            if not column["required"] and column["name"] not in rules.declared
        )
        rows = baseline.row_baselines(description, bare.samples, rules.declared)
        return [Explainer(method, table=row, ignored=ignored) for row in rows]
    if kind == "tensor":
        names = [tensor["name"] for tensor in description["inputs"]]
        outputs = [output["name"] for output in description["outputs"]]
        metadata = metadata_of(model_dir, inputs=names, outputs=outputs)
        baselines = baseline.tensor_baselines(description, rules.declared, metadata)
        return [Explainer(method, baselines=baselines, metadata=metadata)]
    if kind == "text" or not rules.declared:
        what = "An instance is one text" if kind == "text" else "The model does not tell its fields"
        cure = "" if kind == "text" else " Declare them in schema.json beside it."
        raise LoadFailed(f"{what}, so there are no features to explain.{cure}")
    return [Explainer(method, baselines=baseline.object_baseline(rules.declared))]


def _try(explainer: Explainer, model: Model, signature: Signature, sample: Any) -> None:
    """One small question of each kind. Raises LoadFailed, or whatever goes wrong."""
    cases = explainer._cases(model, signature, RawInstances([sample], rules=model.rules))
    run = _Run(model, signature, cases)
    for _ in run.begin(explainer.metadata):
        pass
    if not np.isfinite(run.ends(0, 0)).all():
        raise BadOutput("the baseline, or the model's own sample, has no score.")
    features = 0
    if isinstance(cases, TensorCases):
        features = sum(array.size for array in cases.baseline.values())
        _check_names(explainer, cases)
    elif explainer.table is not None:
        features = len(explainer.table) - len(explainer.ignored)
    if explainer.method.steps:
        ask = gradients_of(model, signature, run.target.output)
        assert isinstance(cases, TensorCases)
        line = Line({name: array[0] for name, array in cases.arrays.items()}, cases.baseline, 1)
        check(ask(line.points(0, 1), run.labels[0][:1]))
    elif (rows := coalitions(features, explainer.method.paths)) > MOST_ROWS:
        raise LoadFailed(
            f"One instance has {features} features, so that {explainer.method.paths} paths would ask the "
            f"model with {rows} rows; at most {MOST_ROWS} are asked for one request. Take fewer paths "
            f"(--num-paths), or integratedGradientsAttribution."
        )


def _check_names(explainer: Explainer, cases: TensorCases) -> None:
    for name, said in (explainer.metadata.inputs if explainer.metadata else {}).items():
        size = cases.baseline[name].size
        if said.features and len(said.features) != size:
            raise LoadFailed(
                f"{METADATA_FILE}: index_feature_mapping of {said.name} has {len(said.features)} names, but "
                f"the input has {size} elements."
            )


def _target(model: Model, outputs: Any, metadata: Metadata | None) -> Target:
    if metadata is None:
        return target_of(model, outputs)
    return target_of(model, outputs, output=metadata.output, name=metadata.output_name)
