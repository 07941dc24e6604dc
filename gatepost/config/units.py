"""Quantities as people write them: durations, sizes, file modes."""

from __future__ import annotations

import re

from gatepost.config.words import quoted

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_DURATION_PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?(ms|[smhdw])")
_NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,6})?")
_LONGEST_DURATION = 1e9

_SIZE = re.compile(r"([0-9]{1,15})(?: ?([kmgt])(?:i?b)?| ?b)?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_LARGEST_SIZE = 1 << 50

_MODE = re.compile(r"(?:0o|0)?([0-7]{3})")


def parse_duration(value: object) -> float:
    """Read a time such as ``500ms``, ``5s``, ``10m``, ``2h``, ``1h30m``, ``1d`` or ``1w`` and give seconds.

    A bare number is seconds. Zero is a duration. Raises ValueError.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError("expected a time such as 5s, 10m, 2h or 1d")
    text = value.strip().lower()
    seconds = float(text) if _NUMBER.fullmatch(text) else _sum_of_parts(text)
    if seconds is None:
        raise ValueError(f"expected a time such as 5s, 10m, 2h or 1d, not {quoted(value)}")
    if seconds > _LONGEST_DURATION:
        raise ValueError(
            f"expected a time such as 5s, 10m, 2h or 1d; {quoted(value)} is longer than 30 years"
        )
    return seconds


def parse_positive_duration(value: object) -> float:
    """Read a duration as :func:`parse_duration` does, zero refused. Raises ValueError."""
    seconds = parse_duration(value)
    if seconds == 0:
        raise ValueError("expected a time longer than 0, such as 5s, 10m, 2h or 1d")
    return seconds


def _sum_of_parts(text: str) -> float | None:
    seconds = 0.0
    position = 0
    while position < len(text):
        part = _DURATION_PART.match(text, position)
        if part is None:
            return None
        seconds += float(part[1]) * _SECONDS[part[2]]
        position = part.end()
    return seconds if text else None


def parse_size(value: object) -> int:
    """Read a size such as ``65536``, ``64k``, ``10MB`` or ``1MiB`` and give bytes.

    There is one k here, of 1024, however it is spelled. Raises ValueError; a
    size of 0 is one of the errors.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        shown = f", not {quoted(value)}" if isinstance(value, str) else ""
        raise ValueError(f"expected a size such as 65536, 64k or 10MB{shown}")
    size: int = int(match[1]) << 10 * _POWERS[(match[2] or "").lower()]
    if not 0 < size <= _LARGEST_SIZE:
        raise ValueError(f"expected a size from 1 byte to 1024 TB, not {quoted(str(value))}")
    return size


def parse_mode(value: object) -> int:
    """Read a file mode, three octal digits such as ``0660``. Raises ValueError.

    A mode is always octal, in quotes or not; an ``int`` is taken as it is.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0o777:
        return value
    match = _MODE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        shown = f", not {quoted(value)}" if isinstance(value, str) else ""
        raise ValueError(f"expected a file mode such as 0660{shown}")
    return int(match[1], 8)
