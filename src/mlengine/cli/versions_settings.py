"""The flags of `versions create` about how a version is served: machines, scaling, containers, explanations.

Apart from the other flags, for each becomes a nested part of the Version. What of it a server can provide is
the server's to say: it is checked here for form only.
"""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from typing import Any

from mlengine.cli import versions_serving
from mlengine.cli.command import UsageError
from mlengine.cli.grammar import Parser, at_least, choice, comma_list, keyed, mapping, within
from mlengine.cli.jobs_replicas import accelerator_config, email

_METRICS = ("cpu-usage", "gpu-duty-cycle")
_STEPS = 50
# Method -> its field, the flag of its number, the name of that number.
_METHODS = {
    "integrated-gradients": ("integratedGradientsAttribution", "num_integral_steps", "numIntegralSteps"),
    "sampled-shapley": ("sampledShapleyAttribution", "num_paths", "numPaths"),
    "xrai": ("xraiAttribution", "num_integral_steps", "numIntegralSteps"),
}
_CONTAINER = ("command", "args", "env_vars", "ports", "predict_route", "health_route")


def flags(parser: Parser) -> None:
    """Declare them."""
    add = parser.add_argument
    add("--machine-type", metavar="TYPE", help="machine that serves it")
    add("--accelerator", type=_accelerator, metavar="type=T,count=N", help="GPUs of each machine")
    versions_serving.flags(parser)
    add("--no-accelerate", action="store_true", help="serve the model as it is, in no quicker form")
    add("--metric-targets", type=_targets, metavar="METRIC=PERCENT,...", help=f"of {', '.join(_METRICS)}")
    add("--service-account", type=email, metavar="EMAIL", help="account the model's code runs as")
    add("--prediction-class", metavar="MODULE.CLASS", help="class of a custom prediction routine")
    add(
        "--package-uris",
        type=comma_list,
        metavar="gs://...,...",
        help="packages with that class; local files are uploaded",
    )
    add(
        "--explanation-method",
        type=choice(_METHODS),
        choices=tuple(_METHODS),
        metavar="METHOD",
        help=f"{', '.join(_METHODS)}",
    )
    add(
        "--num-integral-steps", type=at_least(1), metavar="N", help=f"steps of its integral; default {_STEPS}"
    )
    add("--num-paths", type=at_least(1), metavar="N", help=f"permutations it samples; default {_STEPS}")
    add("--image", metavar="IMAGE", help="container image; kept, while --command is run")
    add("--command", type=comma_list, metavar="WORD,...", help="what the image starts: it is run here")
    add("--args", type=comma_list, metavar="WORD,...", help="arguments of that command")
    add("--env-vars", type=mapping, metavar="KEY=VALUE,...", help="variables of the container")
    add("--ports", type=_ports, metavar="N,...", help="ports it listens on")
    add("--predict-route", metavar="PATH", help="its path for predictions")
    add("--health-route", metavar="PATH", help="its path for health checks")


def settings(arguments: Namespace) -> dict[str, Any]:
    """The fields of a Version that the flags name.

    Raises:
        UsageError: flags that need each other.
    """
    serving = versions_serving.settings(arguments)
    if arguments.metric_targets:
        serving["autoScaling"] = {**serving.get("autoScaling", {}), "metrics": arguments.metric_targets}
    if arguments.no_accelerate:
        serving["mlengine"] = {**serving.get("mlengine", {}), "accelerate": False}
    found = {
        "machineType": arguments.machine_type,
        "acceleratorConfig": arguments.accelerator,
        **serving,
        "serviceAccount": arguments.service_account,
        "predictionClass": arguments.prediction_class,
        "packageUris": list(arguments.package_uris or ()),
        "explanationConfig": _explanation(arguments),
        **_container(arguments),
    }
    return {name: value for name, value in found.items() if value}


def _explanation(arguments: Namespace) -> dict[str, Any]:
    if not arguments.explanation_method:
        for name in ("num_integral_steps", "num_paths"):
            if getattr(arguments, name) is not None:
                raise UsageError(f"argument --explanation-method: Must be specified with {_flag(name)}.")
        return {}
    field, own, number = _METHODS[arguments.explanation_method]
    for name in ("num_integral_steps", "num_paths"):
        if name != own and getattr(arguments, name) is not None:
            raise UsageError(f"argument {_flag(name)}: has no meaning with {arguments.explanation_method}.")
    return {field: {number: getattr(arguments, own) or _STEPS}}


def _container(arguments: Namespace) -> dict[str, Any]:
    given = [name for name in _CONTAINER if getattr(arguments, name) is not None]
    if not arguments.image and not arguments.command:
        if given:
            raise UsageError(f"argument --image: Must be specified with {_flag(given[0])}.")
        return {}
    container = {
        "image": arguments.image or "",
        "command": list(arguments.command or ()),
        "args": list(arguments.args or ()),
        "env": [{"name": name, "value": value} for name, value in (arguments.env_vars or {}).items()],
        "ports": [{"containerPort": port} for port in arguments.ports or ()],
    }
    routes = {"predict": arguments.predict_route, "health": arguments.health_route}
    return {
        "container": {name: value for name, value in container.items() if value},
        "routes": {name: value for name, value in routes.items() if value},
    }


def _accelerator(text: str) -> dict[str, str]:
    found = keyed(required=("type",), known=("type", "count"))(text)
    return accelerator_config(found["type"], found.get("count", "1"))


def _targets(text: str) -> list[dict[str, Any]]:
    found = keyed(required=(), known=_METRICS)(text)
    percent = within(0, 100)
    return [
        {"name": name.upper().replace("-", "_"), "target": int(percent(value))}
        for name, value in found.items()
    ]


def _ports(text: str) -> list[int]:
    found = [at_least(1)(part) for part in comma_list(text)]
    for port in found:
        if port > 65535:
            raise ArgumentTypeError(f"Value must be at most 65535; received: {port}")
    return found


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
