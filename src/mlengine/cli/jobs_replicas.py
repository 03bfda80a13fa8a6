"""The flags of `jobs submit training` about machines: what kinds of replicas, how many, in which images.

Apart from the other flags, for they make one nested part of the Job, and there are many of them. Which of
these a server can provide is the server's to say: they are checked here for form only.
"""

from __future__ import annotations

import argparse
import re
from argparse import Namespace
from typing import Any

from mlengine.cli.command import UsageError
from mlengine.cli.grammar import Parser, at_least, keyed, truth

ACCELERATORS = (
    *("nvidia-tesla-k80", "nvidia-tesla-p100", "nvidia-tesla-v100", "nvidia-tesla-p4", "nvidia-tesla-t4"),
    *("nvidia-tesla-a100", "tpu-v2", "tpu-v3", "tpu-v2-pod", "tpu-v3-pod", "tpu-v4-pod"),
)
# Replica -> its fields in the Job.
_KINDS = {
    "master": ("masterType", "", "masterConfig"),
    "worker": ("workerType", "workerCount", "workerConfig"),
    "parameter-server": ("parameterServerType", "parameterServerCount", "parameterServerConfig"),
}
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_KMS = "projects/{project}/locations/{location}/keyRings/{keyring}/cryptoKeys/{key}"


def flags(parser: Parser) -> None:
    """Declare them."""
    add = parser.add_argument
    for kind, (_, count, _) in _KINDS.items():
        words = kind.replace("-", " ")
        add(f"--{kind}-machine-type", metavar="TYPE", help=f"machine of the {words}")
        if count:
            old = ["--worker-server-count"] if kind == "worker" else []
            add(f"--{kind}-count", *old, type=at_least(0), metavar="N", help=f"number of {words}s")
        add(f"--{kind}-accelerator", type=accelerator, metavar="type=T,count=N", help=f"GPUs of each {words}")
        add(f"--{kind}-image-uri", metavar="IMAGE", help=f"container image of the {words}")
    add("--use-chief-in-tf-config", type=truth, metavar="BOOL", help="with images: 'chief' for the master")
    add("--tpu-tf-version", metavar="V", help="TensorFlow of TPU workers")
    add("--network", metavar="NAME", help="projects/NUMBER/global/networks/NAME")
    add("--service-account", type=email, metavar="EMAIL", help="account the trainer runs as")
    parser.switch("--enable-web-access", "ask for shells in the replicas")
    parser.set_defaults(enable_web_access=None)
    add(
        "--kms-key", metavar="KEY", help="key for what the job writes; its whole name, or with the next three"
    )
    for part in ("keyring", "location", "project"):
        add(f"--kms-{part}", metavar=part.upper(), help=f"{part} of --kms-key")


def settings(arguments: Namespace) -> dict[str, Any]:
    """The fields of trainingInput that the flags name.

    Raises:
        UsageError: flags that need or exclude each other.
    """
    _check(arguments)
    found: dict[str, Any] = {
        "enableWebAccess": arguments.enable_web_access,
        "useChiefInTfConfig": arguments.use_chief_in_tf_config,
        "network": arguments.network,
        "serviceAccount": arguments.service_account,
    }
    for kind, (type_, count, config) in _KINDS.items():
        found[type_] = _of(arguments, kind, "machine-type")
        number = _of(arguments, kind, "count") if count else None
        if number is not None:
            found[count] = str(number)
        inner = {
            "acceleratorConfig": _of(arguments, kind, "accelerator"),
            "imageUri": _of(arguments, kind, "image-uri"),
            "tpuTfVersion": arguments.tpu_tf_version if kind == "worker" else None,
        }
        inner = {name: value for name, value in inner.items() if value}
        if inner:
            found[config] = inner
    if key := _kms_key(arguments):
        found["encryptionConfig"] = {"kmsKeyName": key}
    return {name: value for name, value in found.items() if value is not None}


def accelerator(text: str) -> dict[str, str]:
    """`type=nvidia-tesla-k80,count=2` as an AcceleratorConfig."""
    found = keyed(required=("type", "count"), known=("type", "count"))(text)
    return accelerator_config(found["type"], found["count"])


def accelerator_config(kind: str, count: str) -> dict[str, str]:
    """An AcceleratorConfig, its type as the API spells it, its count as text."""
    name = kind.lower().replace("_", "-")
    if name not in ACCELERATORS:
        from mlengine.errors import nearest

        raise argparse.ArgumentTypeError(
            f"type must be one of [{', '.join(ACCELERATORS)}]; received: {kind}. "
            f"{nearest(name, ACCELERATORS)}".strip()
        )
    return {"count": str(at_least(1)(count)), "type": name.upper().replace("-", "_")}


def email(text: str) -> str:
    """The address of a service account."""
    if not _EMAIL.fullmatch(text):
        raise argparse.ArgumentTypeError(f"Bad value [{text}]: an e-mail address is expected.")
    return text


def _check(arguments: Namespace) -> None:
    if arguments.master_image_uri and arguments.runtime_version:
        raise UsageError(
            "Only one of --master-image-uri, --runtime-version can be set.",
            hint="An image brings its own packages; leave out --runtime-version.",
        )
    for kind in ("worker", "parameter-server"):
        type_, count = _of(arguments, kind, "machine-type"), _of(arguments, kind, "count")
        if type_ and count is None:
            raise UsageError(f"argument --{kind}-count: Must be specified with --{kind}-machine-type.")
        if count and not type_:
            raise UsageError(f"argument --{kind}-machine-type: Must be specified with --{kind}-count.")


def _kms_key(arguments: Namespace) -> str:
    key: str | None = arguments.kms_key
    parts = {
        "project": arguments.kms_project,
        "location": arguments.kms_location,
        "keyring": arguments.kms_keyring,
    }
    if key and re.fullmatch(
        _KMS.format(project="[^/]+", location="[^/]+", keyring="[^/]+", key="[^/]+"), key
    ):
        return key
    missing = [f"--kms-{name}" for name, value in parts.items() if not value]
    if not key:
        if len(missing) < len(parts):
            raise UsageError("argument --kms-key: Must be specified.")
        return ""
    if missing:
        raise UsageError(
            f"argument {missing[0]}: Must be specified.",
            hint="Or name the key whole: projects/P/locations/L/keyRings/R/cryptoKeys/KEY",
        )
    return _KMS.format(**parts, key=key)


def _of(arguments: Namespace, kind: str, flag: str) -> Any:
    return getattr(arguments, f"{kind}-{flag}".replace("-", "_"), None)
