"""Custom prediction routines: a class of the user's that loads the model and predicts in its own way."""

from __future__ import annotations

import inspect
import pydoc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlengine.serving.runtimes.faults import listed
from mlengine.serving.runtimes.model import (
    BadOutput,
    Description,
    LoadFailed,
    Model,
    RawInstances,
    Refused,
    Rows,
    Violation,
)
from mlengine.serving.runtimes.options import Options
from mlengine.serving.runtimes.outputs import plain
from mlengine.serving.runtimes.tensors import unpacked

_NAME = "predict"
_SIGNATURE_NAME = "signature_name"


class UserCodeFailed(LoadFailed):
    """The user's class is not as it must be. Spoken in the words of the contract, code 4."""

    def __str__(self) -> str:
        return f"There was a problem processing the user code: {self.detail} (Error code: 4)"


def load(model_dir: Path, framework: str | None, options: Options) -> Model:
    """Make the class of `options` and hand it the model's folder. Raises LoadFailed.

    Args:
        model_dir: The artefacts; may be an empty folder.
        framework: As the version states it. As with Google's service, TENSORFLOW has `{"b64": …}` in
            instances decoded before the class sees them.
        options: Whose `prediction_class` it is.
    """
    path = options.prediction_class
    if not path:
        raise UserCodeFailed("The version names no class. Give it as predictionClass (--prediction-class).")
    found = _located(path)
    _check(found, path)
    try:
        made = found.from_path(str(model_dir))
    except Exception as error:
        raise UserCodeFailed(f"{path}.from_path failed. {type(error).__name__}: {error}") from error
    if not callable(getattr(made, "predict", None)):
        raise UserCodeFailed(
            f"{path}.from_path returned something without a predict method, of type {type(made).__name__}. "
            f"It must return an instance of the class."
        )
    signature = Predict(made, path, decodes=framework == "tensorflow")

    def describe() -> Description:
        return {
            "framework": "custom",
            "signature": _NAME,
            "signatures": [_NAME],
            "instance": "any",
            "named": False,
            "inputs": [],
            "outputs": [],
            "sample": None,
            "sure": False,
        }

    return Model(
        framework="custom",
        signatures={_NAME: signature},
        default=_NAME,
        aliases=(),
        ignores_unknown_keys=True,
        describe=describe,
        samples=[],
        sure=False,
        takes_extras=True,
        source=made,
    )


class Predict:
    """The `predict` of the user's class, asked once per request with all of its instances.

    Args:
        made: What `from_path` returned.
        path: The class, for messages.
        decodes: Whether `{"b64": …}` in instances becomes bytes.
    """

    name = _NAME

    def __init__(self, made: Any, path: str, *, decodes: bool) -> None:
        self._made = made
        self._path = path
        self._decodes = decodes
        parameters = inspect.signature(made.predict).parameters
        self._takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
        self._keywords = {
            each.name for each in parameters.values() if each.kind in (each.KEYWORD_ONLY, each.VAR_KEYWORD)
        }

    def decode(self, instances: RawInstances) -> Rows:
        """Nothing is known of instances, so none is refused but for keywords that `predict` does not take."""
        values = unpacked(instances.values) if self._decodes else instances.values
        keywords = {_SIGNATURE_NAME: None, **instances.extras}
        if not self._takes_any:
            if keywords[_SIGNATURE_NAME] is None and _SIGNATURE_NAME not in self._keywords:
                del keywords[_SIGNATURE_NAME]
            for name in keywords:
                if name not in self._keywords:
                    takes = listed(sorted(self._keywords - {_SIGNATURE_NAME})) or "none"
                    words = (
                        f"Unknown key '{name}' in the request: predict of {self._path} takes no such keyword "
                        f"(it takes: {takes}). Remove it, or give predict **kwargs."
                    )
                    raise Refused(words, [Violation(name, words)])
        # What it means to be asked with several requests at once is the class's own affair.
        return Rows(len(values), object(), (values, keywords))

    def join(self, parts: Sequence[Rows]) -> Rows:
        """Never several: their keys differ."""
        (only,) = parts
        return only

    def run(self, rows: Rows) -> Any:
        """One call. Raises whatever the class raises."""
        values, keywords = rows.data
        return self._made.predict(values, **keywords)

    def predictions(self, outputs: Any, start: int, stop: int) -> list[Any]:  # noqa: ARG002
        """All that was answered, be it one per instance or not. Raises BadOutput."""
        answers = plain(outputs)
        if not isinstance(answers, list):
            raise BadOutput(
                f"There was a problem processing the user code: predict of {self._path} must return a list, "
                f"but it returned a {type(outputs).__name__}. (Error code: 4)"
            )
        return answers


def _located(path: str) -> Any:
    try:
        found = pydoc.locate(path)
    except pydoc.ErrorDuringImport as error:
        cause = error.value if isinstance(error.value, BaseException) else error
        raise UserCodeFailed(
            f"{path} cannot be imported. {type(cause).__name__}: {cause}. What its package needs belongs "
            f"into install_requires of its setup.py, or into packageUris."
        ) from error
    if found is None:
        raise UserCodeFailed(
            f"{path} cannot be found. Please make sure (1) predictionClass is MODULE.CLASS, with the module "
            f"as it is imported, and (2) the package with it is among packageUris (--package-uris)."
        )
    return found


def _check(found: Any, path: str) -> None:
    """See to it that the class has what the contract wants. Raises UserCodeFailed."""
    if not inspect.isclass(found):
        raise UserCodeFailed(f"{path} is no class, but of type {type(found).__name__}.")
    if not callable(getattr(found, "from_path", None)):
        raise UserCodeFailed(f"User provided model class {path} must implement the from_path method.")
    predict = getattr(found, "predict", None)
    if not callable(predict):
        raise UserCodeFailed(f"The provided model class, {path}, is missing the required predict method.")
    given = [
        each.name
        for each in inspect.signature(predict).parameters.values()
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    if len(given) != 2:
        raise UserCodeFailed(
            f"The provided model class, {path}, has a predict method with an invalid signature. Expected: "
            f"predict(self, instances, **kwargs). Got: predict({', '.join(given)})."
        )
