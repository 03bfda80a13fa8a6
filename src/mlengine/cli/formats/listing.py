"""What of a list is shown: --flatten, then the order, then --filter, then --limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from mlengine.cli.formats.keys import Key, names, read_key
from mlengine.cli.formats.projection import Format
from mlengine.cli.formats.scanner import Scanner
from mlengine.cli.formats.transforms import order, text_of
from mlengine.errors import nearest

if TYPE_CHECKING:
    from mlengine.cli.formats.filters import Filter

Warn = Callable[[str], None]


class Wanted:
    """The flags, read; so that a wrong one is told before the server is asked.

    Raises:
        UsageError: one of them is wrong.
    """

    def __init__(
        self,
        *,
        filter: str = "",
        sort_by: Sequence[str] = (),
        flatten: Sequence[str] = (),
        limit: int | None = None,
    ) -> None:
        self._filter = _filter(filter) if filter.strip() else None
        self._sort_by = [_sort_key(text) for text in sort_by]
        self._flatten = [_flatten_key(text) for text in flatten]
        self._limit = limit

    def of(self, resources: Iterable[Any], form: Format, warn: Warn) -> Iterator[Any]:
        """The resources that are wanted, in order. `warn` hears of keys that none of them has."""
        for key in self._flatten:
            resources = _flattened(resources, key)
        by = self._sort_by or [
            (item.key, item.reverse)
            for item in sorted((item for item in form.items if item.sort), key=lambda item: item.sort)
        ]
        if by:
            found = list(resources)
            if self._sort_by:
                _warn_of_unknown("sort", [key for key, _ in by], found, warn)
            # The least important key first: a stable sort by the others keeps its order.
            for key, reverse in reversed(by):
                found.sort(key=lambda resource: order(_sortable(key.value(resource))), reverse=reverse)
            resources = found
        if self._filter:
            resources = _filtered(resources, self._filter, warn)
        return iter(resources) if self._limit is None else islice(resources, self._limit)


def _filter(text: str) -> Filter:
    from mlengine.cli.formats.filters import read_filter

    return read_filter(text)


def _sort_key(text: str) -> tuple[Key, bool]:
    return _key(text.removeprefix("~"), "--sort-by"), text.startswith("~")


def _flatten_key(text: str) -> Key:
    key = _key(text.removesuffix("[]"), "--flatten")
    scan = Scanner(text, "--flatten")
    if key.calls or any(not isinstance(part, str) for part in key.path.parts) or not key.path.parts:
        raise scan.error("it takes the keys of lists: --flatten 'trainingOutput.trials[]'.")
    return key


def _key(text: str, flag: str) -> Key:
    scan = Scanner(text, flag)
    scan.blanks()
    key = read_key(scan)
    scan.blanks()
    if not scan.ended():
        raise scan.wrong("the end of the key")
    return key


def _sortable(value: Any) -> Any:
    return value if value is None or isinstance(value, (int, float, str)) else text_of(value)


def _flattened(resources: Iterable[Any], key: Key) -> Iterator[Any]:
    """Each resource once for every element of the list at `key`; whole where there is no such list."""
    for resource in resources:
        values = key.path.get(resource)
        if not isinstance(values, list) or not values:
            yield resource
            continue
        for value in values:
            yield _replaced(resource, [str(part) for part in key.path.parts], value)


def _replaced(resource: Any, parts: Sequence[str], value: Any) -> Any:
    if not parts:
        return value
    if not isinstance(resource, dict):
        return resource
    return resource | {parts[0]: _replaced(resource.get(parts[0]), parts[1:], value)}


def _filtered(resources: Iterable[Any], wanted: Filter, warn: Warn) -> Iterator[Any]:
    """Those that the filter is true of. Only when all were looked at, a key can be called unknown."""
    seen = []
    for resource in resources:
        seen.append(resource)
        if wanted.test(resource):
            yield resource
    _warn_of_unknown("filter", wanted.keys, seen, warn)


def _warn_of_unknown(kind: str, keys: Sequence[Key], resources: Sequence[Any], warn: Warn) -> None:
    if not resources:
        return
    unknown = [str(key.path) for key in keys if all(key.path.get(resource) is None for resource in resources)]
    if not unknown:
        return
    known = sorted({name for resource in resources for name in names(resource)})
    hints = dict.fromkeys(hint for name in unknown if (hint := nearest(name, known)))
    text = f"The following {kind} keys were not present in any resource : {', '.join(dict.fromkeys(unknown))}"
    warn(" ".join([text + ("." if hints else ""), *hints]))
