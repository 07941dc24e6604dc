"""What all conversions share: walking the settings, and accounting for each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import ClassVar

from gatepost.config.words import did_you_mean, quoted
from gatepost.importing.catalogue import Catalogue, Fate, is_off
from gatepost.importing.draft import Draft, Option, Plain, Section, Sort
from gatepost.importing.hosts import Entry
from gatepost.importing.source import Place, ReadFile, Setting, Source, UnreadableError

_UNSUPPORTED_SETS = (
    "db",
    "dsn",
    "ldap",
    "ldaps",
    "ldapi",
    "lua",
    "memcache",
    "erlang",
    "socket",
    "mdb",
    "repute",
)


class Unfit(Exception):  # noqa: N818
    """A value cannot be carried over; the text says why."""


class Conversion:
    """One instance of another daemon, being turned into sections of *draft*.

    ``RULES`` are methods by the lower-case names of the options that are carried
    over; each takes the setting, and raises Unfit where it cannot be.
    """

    CATALOGUE: ClassVar[Catalogue]
    RULES: ClassVar[Mapping[str, Callable[..., None]]]

    def __init__(self, source: Source, draft: Draft, read: ReadFile) -> None:
        self.source = source
        self.draft = draft
        self._read = read

    def walk(self) -> None:
        """Account for every setting, the carried ones by their rules."""
        last = {setting.name.lower(): setting for setting in self.source.settings}
        for setting in self.source.settings:
            known = self.CATALOGUE.find(setting.name)
            if known is None:
                hint = did_you_mean(setting.name, self.CATALOGUE.names())
                self.remark(Sort.UNKNOWN, setting, f"no such option is known{hint}")
            elif last[setting.name.lower()] != setting and setting.name.lower() not in self.repeated():
                later = last[setting.name.lower()].place
                self.remark(Sort.SAME, setting, f"given again in {later}, which counts")
            elif known.fate is Fate.CARRIED:
                try:
                    self.RULES[known.name.lower()](self, setting)
                except Unfit as reason:
                    self.remark(Sort.FLAW, setting, str(reason))
            elif known.fate is Fate.ALWAYS:
                self.remark(Sort.SAME, setting, known.text)
            elif known.fate is Fate.MEANINGLESS:
                self.remark(Sort.LEFT_OUT, setting, known.text)
            elif is_off(setting.value):
                self.remark(Sort.SAME, setting, "switched off")
            else:
                self.remark(Sort.UNSUPPORTED, setting, known.text)
        for place, text in self.source.flaws:
            self.draft.remark(Sort.FLAW, place, "", text)

    def repeated(self) -> frozenset[str]:
        """Lower-case names of options that may be given several times."""
        return frozenset({"include"})

    # -- accounting

    def remark(self, sort: Sort, setting: Setting, text: str) -> None:
        """Say what became of *setting*."""
        self.draft.remark(sort, setting.place, setting.name, text)

    def put(self, section: Section, key: str, value: Plain, setting: Setting) -> None:
        """Carry *setting* over as the option *key* of *section*."""
        section[key] = Option(value, origin(setting))
        self.remark(Sort.CARRIED, setting, f"is {key}")

    def put_common(self, key: str, value: Plain, setting: Setting) -> None:
        """Carry *setting* over as an option of all daemons. Lists of several instances become one."""
        before = self.draft.common.get(key)
        if before is None:
            self.draft.common[key] = Option(value, origin(setting))
        elif before.value != value and isinstance(before.value, list) and isinstance(value, list):
            together: list[Plain] = [*before.value, *(item for item in value if item not in before.value)]
            self.draft.common[key] = Option(together, f"{before.origin}, {origin(setting)}")
        elif before.value != value:
            text = f"{key} is one for all daemons: the value of {before.origin} is used"
            self.remark(Sort.DIFFERENT, setting, text)
            return
        self.remark(Sort.CARRIED, setting, f"is {key}")

    # -- values

    def file(self, path: str) -> str:
        """The text of the file at *path*. Raises Unfit."""
        try:
            return self._read(path)
        except UnreadableError as error:
            raise Unfit(f"{path} {error}") from None

    def whole_path(self, path: str) -> str:
        """*path* from the root. Raises Unfit."""
        path = path.strip()
        if not path.startswith("/"):
            raise Unfit(f"{quoted(path)} is not a whole path")
        return path

    def entries(self, setting: Setting) -> list[Entry]:
        """The members of a data set (opendkim(8)): in a file, or with commas between. Raises Unfit."""
        text = setting.value
        prefix, colon, rest = text.partition(":")
        if colon and prefix.lower() in _UNSUPPORTED_SETS:
            raise Unfit(f"sets in {prefix}: are not supported: write the members to a text file")
        if colon and prefix.lower() == "csl":
            text = rest
        elif (colon and prefix.lower() in ("file", "refile")) or text.startswith("/"):
            path = text if text.startswith("/") else rest
            return self.members(self.whole_path(path))
        return [Entry(member, setting.place) for member in map(str.strip, text.split(",")) if member]

    def members(self, path: str) -> list[Entry]:
        """The members of a set in a file, one a line, without what stands behind each. Raises Unfit."""
        if path.endswith(".db"):
            raise Unfit(f"{path} is a database: write its members to a text file")
        lines = enumerate(self.file(path).splitlines(), 1)
        words = ((number, line.partition("#")[0].split()) for number, line in lines)
        return [Entry(found[0], Place(path, number)) for number, found in words if found]


def origin(setting: Setting) -> str:
    """Where an option comes from, for the comment behind it."""
    return f"{setting.place} {setting.name}"


def yes_or_no(setting: Setting) -> bool:
    """A Boolean by its first letter (opendkim.conf(5)). Raises Unfit."""
    first = setting.value[:1].lower()
    if not first or first not in "ty1fn0":
        raise Unfit(f"{quoted(setting.value)} is neither yes nor no")
    return first in "ty1"


_NUMBER = re.compile(r"[0-9]{1,12}")


def number(setting: Setting) -> int:
    """A whole number, 0 or more. Raises Unfit."""
    if not _NUMBER.fullmatch(setting.value):
        raise Unfit(f"{quoted(setting.value)} is not a number")
    return int(setting.value)


def seconds(setting: Setting) -> str:
    """A number of seconds, as a time. Raises Unfit."""
    return f"{number(setting)}s"
