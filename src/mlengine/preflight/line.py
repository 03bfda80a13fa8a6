"""What is wrong with the words themselves: blanks, backslashes, unset variables, a job-dir nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mlengine.errors import InvalidArgument
from mlengine.names import ObjectUrl, check_bucket
from mlengine.preflight.findings import Finding

_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_QUOTES = "\u2018\u2019\u201c\u201d\u00ab\u00bb"
_VARIABLE = re.compile(r"\$(?:\{[A-Za-z_]\w*\}|[A-Za-z_]\w*|\([^)]*\))")
_ARGS, _JOB_DIR = "job.training_input.args", "job.training_input.job_dir"


def check_arguments(args: Sequence[str]) -> Iterator[Finding]:
    """Look at the trainer's arguments as words."""
    for position, text in enumerate(args):
        before = args[position - 1] if position else ""
        where = f"argument {position + 1} of the trainer"
        found = _word(text, where=where, before=before)
        if found:
            yield found


def _word(text: str, *, where: str, before: str) -> Finding | None:
    if text and not text.strip(" \t\u00a0"):
        # `--separator " "` is a value; whether the flag takes one, the trainer's own parser says.
        return _found(
            "blank-argument",
            f"It is blank (after '{before}').",
            where,
            "Is there a blank behind a backslash at the end of a line? The backslash must come last.",
            lowered=before.startswith("-") and "=" not in before,
        )
    if text == "\\" or re.fullmatch(r"\\[ \t]+", text):
        return _found(
            "stray-backslash",
            f"It is a backslash (after '{before}').",
            where,
            "A backslash continues a line only at the very end of it, and only once.",
        )
    if text.endswith("\r"):
        return _found(
            "carriage-return",
            f"'{text.rstrip()}' ends in a carriage return: the script was saved with Windows line ends.",
            where,
            "Save it with Unix line ends: sed -i 's/\\r$//' SCRIPT",
        )
    if len(text) > 1 and text[0] in _DASHES and (text[1].isalpha() or text[1] in _DASHES + "-"):
        plain = "--" + text.lstrip(_DASHES + "-")
        return _found(
            "typographic-dash", f"'{text}' begins with a typographic dash.", where, f"Type it: {plain}"
        )
    if text[:1] in _QUOTES or text[-1:] in _QUOTES or re.search(f"=[{_QUOTES}]", text):
        return _found(
            "typographic-quote",
            f"'{text}' has curly quotes, which the shell takes for letters.",
            where,
            "Type straight ones.",
        )
    if variable := _VARIABLE.search(text):
        return _found(
            "unexpanded-variable",
            f"'{text}' still holds {variable[0]}.",
            where,
            "In double quotes the shell fills it in; in single quotes and in --config files nobody does.",
            lowered=not text.partition("=")[2].startswith("gs://") and not text.startswith("gs://"),
        )
    if re.fullmatch(r"--?[A-Za-z][\w-]*=", text):
        return _found("empty-value", f"'{text}' has no value.", where, "Is a variable unset?")
    if not text and before.startswith("--"):
        return _found("empty-value", f"The value of '{before}' is empty.", where, "Is a variable unset?")
    return None


def check_job_dir(text: str) -> Iterator[Finding]:
    """Look at a submitted job's job-dir as a word; whether its bucket is there is asked elsewhere."""
    if not text:
        return
    where, example = "--job-dir", "Name a folder in a bucket: gs://BUCKET/FOLDER"
    if variable := _VARIABLE.search(text):
        yield _found(
            "unexpanded-variable",
            f"'{text}' still holds {variable[0]}.",
            where,
            "Use double quotes.",
            _JOB_DIR,
        )
        return
    if not text.startswith("gs://"):
        yield _found(
            "job-dir-local",
            f"{text} is no gs:// folder; a submitted job keeps its results in a bucket.",
            where,
            f"{example}. To run here, with local folders: mlengine local train",
            _JOB_DIR,
        )
        return
    if text.startswith("gs:///") or text == "gs://":
        yield _found(
            "job-dir-no-bucket", f"{text} names no bucket; is a variable empty?", where, example, _JOB_DIR
        )
        return
    try:
        url = ObjectUrl.parse(text)
    except InvalidArgument as problem:
        yield _found("job-dir-no-bucket", problem.message, where, problem.hint or example, _JOB_DIR)
        return
    if not url.object.strip("/"):
        explicit = text == f"gs://{url.bucket}"
        yield _found(
            "job-dir-bucket-root",
            f"job-dir is the bucket itself ({url}); is a variable empty?",
            where,
            f"Name a folder: gs://{url.bucket}/FOLDER"
            + ("" if explicit else f". If the bucket is meant: --job-dir gs://{url.bucket}"),
            _JOB_DIR,
            lowered=explicit,
        )
    elif "//" in url.object or url.object.startswith("/"):
        yield _found(
            "job-dir-empty-part", f"{text} has an empty part; is a variable empty?", where, example, _JOB_DIR
        )


def check_staging(text: str) -> Iterator[Finding]:
    """Look at the name of the staging bucket."""
    if not text:
        return
    try:
        check_bucket(text.removeprefix("gs://").rstrip("/"))
    except InvalidArgument as problem:
        unset = "Is a variable unset? " if text.strip("/") in ("gs:", "gs", "") else ""
        yield _found(
            "staging-bucket",
            problem.message,
            "--staging-bucket",
            f"{unset}Write gs://BUCKET, without a folder.",
        )


def _found(
    code: str, message: str, where: str, hint: str, field: str = _ARGS, *, lowered: bool = False
) -> Finding:
    return Finding(code=code, message=message, where=where, hint=hint, field=field, lowered=lowered)
