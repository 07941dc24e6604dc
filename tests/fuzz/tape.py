"""An input read as a row of choices, so that one string of octets can say what is fed, to whom, and how it is cut."""

from __future__ import annotations

from itertools import pairwise

_LONG = 255


class Tape:
    """Reads choices off *data*, from its beginning. What lies beyond the end is zero, or empty."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def number(self, below: int) -> int:
        """A number from 0 up to, not including, *below*, which is 256 at most: one octet."""
        if self._at >= len(self._data):
            return 0
        self._at += 1
        return self._data[self._at - 1] % below

    def octets(self) -> bytes:
        """Some octets, behind one that counts them; 255 stands for two more that do."""
        count = self.number(256)
        if count == _LONG:
            count = 256 * self.number(256) + self.number(256)
        return self._take(count)

    def rest(self) -> bytes:
        """All that is left."""
        return self._take(len(self._data))

    def cuts(self) -> list[int]:
        """Up to seven places, as parts of 65,536, in order."""
        return sorted(256 * self.number(256) + self.number(256) for _ in range(self.number(8)))

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken


def cut(octets: bytes, places: list[int]) -> list[bytes]:
    """*octets* in pieces, cut at *places* (``Tape.cuts``)."""
    ends = [0, *(len(octets) * place // 65536 for place in places), len(octets)]
    return [octets[start:end] for start, end in pairwise(ends)]


def counted(octets: bytes) -> bytes:
    """*octets* as ``Tape.octets`` reads them, for seeds."""
    if len(octets) < _LONG:
        return bytes([len(octets)]) + octets
    return bytes([_LONG]) + len(octets).to_bytes(2) + octets
