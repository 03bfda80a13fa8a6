"""Google's ml v1 explain: asked as predict is, answered with `{"explanations": […]}`."""

from __future__ import annotations

from typing import Any

from mlengine.serving.runtimes.model import Model
from mlengine.serving.runtimes.rules import DEFAULT_RULES
from mlengine.serving.worker import answers
from mlengine.serving.worker.protocols.ml_v1 import MlV1, policy


class Explain(MlV1):
    """See the module."""

    def written(self, explanations: list[dict[str, Any]], model: Model) -> bytes:
        """One explanation per instance. Raises BadOutput."""
        return answers.dumps({"explanations": answers.sayable(explanations, policy(model))})

    def unexplained(self, model: Model) -> bytes:
        """What a version says that was not made to explain."""
        rules = model.rules or DEFAULT_RULES
        name = f"Version '{rules.version_name}'" if rules.version_name else "This version"
        return answers.precondition(
            f"{name} has no explanationConfig, and so cannot explain predictions. Make a version that can: "
            f"mlengine versions create VERSION --model {rules.model_name or 'MODEL'} --origin … "
            f"--explanation-method sampled-shapley"
        )


PROTOCOL = Explain()
