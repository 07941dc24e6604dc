"""Configurations as the files of a host, without a host."""

from __future__ import annotations

from collections.abc import Mapping

from gatepost.importing.draft import Draft, Plain, Sort
from gatepost.importing.source import UnreadableError
from gatepost.importing.take_over import take_over


class Host:
    """Files by path."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = dict(files)

    def read(self, path: str) -> str:
        """The text at *path*. Raises UnreadableError."""
        if path not in self.files:
            raise UnreadableError("cannot be read: No such file or directory")
        return self.files[path]


def taken(peer: str, text: str, files: Mapping[str, str] | None = None, path: str = "/etc/conf") -> Draft:
    """The draft for one file with *text*, *files* being there too."""
    return take_over(peer, [(path, text)], Host(files or {}).read)


def section(draft: Draft, name: str = "") -> dict[str, Plain]:
    """The options of the daemon *name*; none given: of the only one."""
    daemons = draft.plain()["daemons"]
    assert isinstance(daemons, dict)
    if not name:
        [name] = daemons
    found = daemons[name]
    assert isinstance(found, dict)
    return found


def told(draft: Draft, sort: Sort) -> list[str]:
    """The remarks of that *sort*, each as one line."""
    return [str(remark) for remark in draft.remarks if remark.sort is sort]
