"""Which framework the files of an exported model are of. Pure; no I/O.

The names are the runtimes' own (`serving.runtimes.artefact`), which live in another environment.
"""

from __future__ import annotations

from mlengine.errors import FailedPrecondition
from mlengine.models.domain import Framework
from mlengine.names import ObjectUrl

ARTEFACTS = {
    "saved_model.pb": Framework.TENSORFLOW,
    "saved_model.pbtxt": Framework.TENSORFLOW,
    "model.keras": Framework.KERAS,
    "model.h5": Framework.KERAS,
    "model.bst": Framework.XGBOOST,
    "model.json": Framework.XGBOOST,
    "model.ubj": Framework.XGBOOST,
    "model.txt": Framework.LIGHTGBM,
    "model.pt2": Framework.PYTORCH,
    "model.pt": Framework.PYTORCH,
    "model.onnx": Framework.ONNX,
    "model.joblib": Framework.SCIKIT_LEARN,
    "model.pkl": Framework.SCIKIT_LEARN,
}


def detect_framework(origin: ObjectUrl, files: list[str]) -> Framework:
    """The framework of the artefacts directly in `origin` (contracts, section 5).

    A pickle counts as scikit-learn here; the worker, which alone may open it, finds out if it is another's.

    Args:
        files: Paths relative to `origin`.

    Raises:
        FailedPrecondition: none is there, or several that exclude each other.
    """
    found = {name: ARTEFACTS[name] for name in files if name in ARTEFACTS}
    kinds = set(found.values())
    if len(kinds) == 1:
        return kinds.pop()
    if kinds:
        raise FailedPrecondition(
            f"Multiple model files are found in {origin}: {', '.join(sorted(found))}.",
            hint="Keep one of them, or name it with --framework.",
            field="version.deployment_uri",
        )
    below = sorted({name.rsplit("/", 1)[0] for name in files if name.rsplit("/", 1)[-1] in ARTEFACTS})
    if below:
        hint = f"There is one in {origin.child(below[0])}/: use that as the origin."
    else:
        shown = ", ".join(files[:5]) or "nothing"
        hint = f"It holds {shown}. A model is one of {', '.join(ARTEFACTS)}."
    raise FailedPrecondition(
        f"There is no model directly in {origin}.", hint=hint, field="version.deployment_uri"
    )
