"""The flags of `versions create` and `update` about how many processes serve, and how they treat requests.

Apart from the other flags, for the same can be changed later, and gcloud has none but the nodes.
"""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from mlengine.cli.command import UsageError
from mlengine.cli.grammar import Parser, at_least, choice

# Flag -> its field in the block `mlengine`, and its words.
_POLICIES = {
    "unknown_fields": ("unknownFields", ("reject", "warn", "ignore"), "keys that the model does not know"),
    "missing_fields": ("missingFields", ("default", "null", "reject"), "keys that an instance lacks"),
    "non_finite": ("nonFinite", ("null", "text", "reject"), "NaN and infinity in answers"),
}
_NUMBERS = {"max_batch_size": "maxBatchSize", "max_latency_ms": "maxLatencyMs"}


def flags(parser: Parser) -> None:
    """Declare them."""
    add = parser.add_argument
    add("--nodes", type=at_least(1), metavar="N", help="processes that serve it, neither more nor fewer")
    add("--min-nodes", type=at_least(0), metavar="N", help="fewest processes; 0 lets it sleep")
    add("--max-nodes", type=at_least(1), metavar="N", help="most processes")
    add("--max-batch-size", type=at_least(1), metavar="N", help="most instances in one call of the model")
    add("--max-latency-ms", type=at_least(0), metavar="MS", help="how long a request waits for company")
    for name, (_, words, about) in _POLICIES.items():
        flag = "--" + name.replace("_", "-")
        add(flag, type=choice(words), choices=words, metavar="WORD", help=f"{about}: {', '.join(words)}")


def settings(arguments: Namespace) -> dict[str, Any]:
    """The fields of a Version that the flags name.

    Raises:
        UsageError: flags that exclude each other.
    """
    bounds = {"minNodes": arguments.min_nodes, "maxNodes": arguments.max_nodes}
    found: dict[str, Any] = {}
    if scaling := {name: nodes for name, nodes in bounds.items() if nodes is not None}:
        found["autoScaling"] = scaling
    if arguments.nodes is not None:
        if scaling:
            raise UsageError("argument --nodes: not allowed with argument --min-nodes or --max-nodes.")
        found["manualScaling"] = {"nodes": arguments.nodes}
    own: dict[str, Any] = {
        field: getattr(arguments, name)
        for name, field in _NUMBERS.items()
        if getattr(arguments, name) is not None
    }
    for name, (field, _, _) in _POLICIES.items():
        if word := getattr(arguments, name):
            own[field] = word.upper()
    if own:
        found["mlengine"] = own
    return found
