"""Whether the data that a trainer's arguments name is there, and whether the job can reach it at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mlengine.errors import InvalidArgument
from mlengine.names import ObjectUrl
from mlengine.preflight.findings import Finding
from mlengine.preflight.surroundings import Surroundings

# Flags whose value is written, not read; the second pattern counts only where the first does not.
_WRITTEN = re.compile(
    r"out|dir(ectory)?$|export|model|save|log|ckpt|checkpoint|job|result|dest|tmp|temp|cache|summar|artifact"
    r"|write|target|store|staging|pred"
)
_READ = re.compile(r"train|eval|valid|test|input|data|file|path|csv|tfrecord|vocab|label|schema|source")
_ARGS = "job.training_input.args"


def check_data(args: Sequence[str], surroundings: Surroundings) -> Iterator[Finding]:
    """Look at what seems to be a path among the trainer's arguments."""
    flag = ""
    for text in args:
        name, value = flag, text
        if text.startswith("-"):
            flag, equals, value = text.partition("=")
            if not equals:
                continue
            name = flag
        for each in _values(value):
            found = _path(name.lstrip("-"), each, surroundings)
            if found:
                yield found


def _values(value: str) -> list[str]:
    """A value, taken apart where it is a list of URLs."""
    if value.count("gs://") > 1:
        return [part.strip() for part in re.split(r"[,; ](?=\s*gs://)", value)]
    return [value]


def _path(name: str, value: str, surroundings: Surroundings) -> Finding | None:
    where = f"--{name}" if name else "an argument of the trainer"
    if value.startswith("gs://"):
        return _object(name.lower(), value, where, surroundings)
    if not re.match(r"(/|~/|\.{1,2}/)", value) and not (
        re.search(r"[/.]", value) and len(value) < 1000 and "\0" not in value and _is_here(value)
    ):
        return None
    if surroundings.same_machine and value.startswith("/"):
        return None
    return Finding(
        code="local-path",
        message=f"{value} is a path of this machine; the job runs in a folder of its own.",
        where=where,
        hint=f"Upload it and name the copy: mlengine storage cp -r {value} gs://BUCKET/",
        field=_ARGS,
    )


def _is_here(value: str) -> bool:
    try:
        return Path(value).exists()
    except (OSError, ValueError):
        return False


def _object(name: str, value: str, where: str, surroundings: Surroundings) -> Finding | None:
    if value.startswith("gs:///") or value == "gs://":
        return Finding(
            code="data-no-bucket",
            message=f"{value} names no bucket; is a variable empty?",
            where=where,
            hint="Write gs://BUCKET/PATH.",
            field=_ARGS,
        )
    try:
        url = ObjectUrl.parse(value)
    except InvalidArgument as problem:
        # A template that the trainer fills in names no bucket yet.
        if re.search(r"[{}%$]", value.split("/")[2]):
            return None
        return Finding(
            code="data-no-bucket", message=problem.message, where=where, hint=problem.hint, field=_ARGS
        )
    written = bool(_WRITTEN.search(name)) and not re.search(r"(file|path|csv)s?$", name)
    if surroundings.bucket_exists and not surroundings.bucket_exists(url.bucket):
        return Finding(
            code="data-missing",
            message=f"There is no bucket gs://{url.bucket}.",
            where=where,
            hint=f"Make it: mlengine storage mb gs://{url.bucket}",
            field=_ARGS,
        )
    if written or not url.object or re.search(r"[{}%$]", url.object) or not surroundings.anything_at:
        return None
    if surroundings.anything_at(url):
        return None
    return Finding(
        code="data-missing",
        message=f"There is nothing at {value}.",
        where=where,
        hint=f"Look what there is: mlengine storage ls gs://{url.bucket}/",
        field=_ARGS,
        lowered=not _READ.search(name) or bool(re.search(r"out|save|export|write|result|pred", name)),
    )
