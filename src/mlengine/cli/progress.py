"""Waiting for an operation on the screen: one line that ends in `done.`, and its failure told whole."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from mlengine.cli.session import Session


def wait(
    session: Session,
    operation: dict[str, Any],
    text: str,
    *,
    stage: Callable[[], str] = lambda: "",
    then: Callable[[dict[str, Any]], None] | None = None,
) -> int:
    """Wait until the operation is done: 0, or 1 after its error on standard error.

    Args:
        text: What is going on ("Creating version").
        stage: What of it is going on right now; "" for nothing to tell.
        then: Given the response at the end.

    Raises:
        DeadlineExceeded: it takes longer than an hour.
    """
    session.say(f"{text}...", end="")
    began = last = time.monotonic()
    told = ""

    def tick() -> None:
        nonlocal last, told
        if (now := stage()) and now != told:
            told = now
            session.say(f" {now}...", end="")
        # Dots only for a person: a log file would fill with them.
        if sys.stderr.isatty() and time.monotonic() - last >= 1:
            last = time.monotonic()
            session.say(".", end="")

    try:
        ended = session.api.wait(operation, tick=tick)
    except BaseException:
        session.say("")
        raise
    session.info(f"Operation {operation['name']} took {time.monotonic() - began:.1f} s.")
    if error := ended.get("error"):
        session.say("failed.")
        session.error(f"ERROR: (mlengine.{session.words.replace(' ', '.')}) {error.get('message', error)}")
        return 1
    session.say(" done." if told else "done.")
    if then:
        then(ended.get("response") or {})
    return 0
