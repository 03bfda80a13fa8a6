"""Fitted objects are kept to one thread, wherever in the model they are."""

from __future__ import annotations

from typing import Any

from mlengine.serving.runtimes.threads import keep_to_one


class Estimator:
    """As scikit-learn's look from outside."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return vars(self)


def test_every_fitted_object_of_a_model_is_kept_to_one_thread() -> None:
    forest, boosted, encoder = Estimator(n_jobs=-1), Estimator(n_jobs=None), Estimator(drop="first")
    voters = Estimator(estimators_=[forest, boosted], named={"a": forest}, n_jobs=4)
    model = Estimator(steps=[("encode", encoder), ("vote", voters)])
    voters.parent = model  # a circle, as meta-estimators may hold

    keep_to_one(model)

    assert [each.n_jobs for each in (forest, boosted, voters)] == [1, 1, 1]
    assert not hasattr(encoder, "n_jobs")
