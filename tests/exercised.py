"""What a test says it calls, it must have called, or the reference would tell a lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def exercised(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test marked with a method's id that has not sent it through Google's client."""
    claimed = {id_ for marker in request.node.iter_markers("method") for id_ in marker.args}
    if not claimed:
        yield
        return
    from googleapiclient.http import HttpRequest

    sent: set[str] = set()
    plain = HttpRequest.execute

    def execute(self: Any, *given: Any, **named: Any) -> Any:
        sent.add(self.methodId)
        return plain(self, *given, **named)

    monkeypatch.setattr(HttpRequest, "execute", execute)
    yield
    if claimed - sent:
        pytest.fail(f"marked with {', '.join(sorted(claimed - sent))}, but called only {sorted(sent)}")
