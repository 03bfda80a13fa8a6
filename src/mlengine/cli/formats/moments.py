"""Time in expressions: timestamps, ages such as -P1D, and zones by name."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from mlengine.clock import from_text, system_clock

FORMAT = "%Y-%m-%dT%H:%M:%S"
_STAMP = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?(\.\d+)?)?\s*(Z|[+-]\d\d:?\d\d)?", re.IGNORECASE)
# Compiled when a filter needs it: a plain list should not wait for it.
_AGE = (
    r"(?P<sign>[+-]?)P(?=.)(?:(?P<years>\d{1,4})Y)?(?:(?P<months>\d{1,5})M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=.)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?"
)
# Google's way to write a duration: "3.5s".
_SECONDS = re.compile(r"(-?\d+(?:\.\d+)?)s?")


def zone(name: str) -> tzinfo | None:
    """The zone of that name; None is that of this machine. Raises ValueError."""
    if name.upper() == "LOCAL":
        return None
    if name.upper() in ("UTC", "Z", "GMT"):
        return UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ValueError(f"there is no time zone '{name}'; like LOCAL, UTC, Asia/Seoul") from None


def stamp(value: Any) -> datetime | None:
    """The moment that a timestamp names, None if it is none. Without a zone: of this machine."""
    if not isinstance(value, str) or not _STAMP.fullmatch(value):
        return None
    try:
        return from_text(value.upper().replace(" ", "T", 1).replace(" ", ""))
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def moment(text: str) -> datetime | None:
    """A timestamp, or so long ago (-P1D, -PT30M, P2W ahead); None if it is neither."""
    match = re.fullmatch(_AGE, text, re.IGNORECASE)
    if not match:
        return stamp(text)
    sign = -1 if match["sign"] == "-" else 1
    parts = {name: float(match[name] or 0) for name in ("weeks", "days", "hours", "minutes", "seconds")}
    months = 12 * int(match["years"] or 0) + int(match["months"] or 0)
    try:
        return _months_later(system_clock(), sign * months) + sign * timedelta(**parts)
    except (OverflowError, ValueError):
        return None


def date(value: Any, format: str = FORMAT, tz: tzinfo | str | None = "", undefined: str = "") -> str:
    """A timestamp written as `format` says; what is no timestamp stays as it is."""
    if value is None or value == "":
        return undefined
    found = stamp(value)
    if found is None:
        return value if isinstance(value, str) else str(value)
    local = found if isinstance(tz, str) else found.astimezone(tz)
    return local.strftime(format or FORMAT)


def duration(
    value: Any, start: str = "", end: str = "", unit: float = 1.0, parts: int = 3, undefined: str = ""
) -> str:
    """Seconds as `PT1H5M3S`. Of a timestamp: its age. Of a resource: the time between two of its fields.

    If the later of the two is missing, the time until now.
    """
    seconds: float
    if isinstance(value, dict):
        first, last = stamp(value.get(start or "startTime")), stamp(value.get(end or "endTime"))
        if first is None:
            return undefined
        seconds = ((last or system_clock()) - first).total_seconds()
    elif (first := stamp(value)) is not None:
        seconds = (system_clock() - first).total_seconds()
    elif match := _SECONDS.fullmatch(str(value)):
        seconds = float(match[1]) * unit
    else:
        return undefined
    return _iso(seconds, max(1, parts))


def _months_later(start: datetime, months: int) -> datetime:
    """The same day of another month, or its last one if it has no such day."""
    from calendar import monthrange

    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise OverflowError
    day = min(start.day, monthrange(year, month + 1)[1])
    return start.replace(year=year, month=month + 1, day=day)


def _iso(seconds: float, parts: int) -> str:
    rest = round(abs(seconds))
    found = []
    for letter, size in (("D", 86400), ("H", 3600), ("M", 60), ("S", 1)):
        count, rest = divmod(rest, size)
        found.append((letter, count))
    first = next((place for place, (_, count) in enumerate(found) if count), 3)
    kept = {letter: count for letter, count in found[first : first + parts] if count}
    days = f"{kept.pop('D')}D" if "D" in kept else ""
    time = "".join(f"{count}{letter}" for letter, count in kept.items())
    if not days and not time:
        time = "0S"
    return ("-" if seconds < 0 and time != "0S" else "") + "P" + days + (f"T{time}" if time else "")
