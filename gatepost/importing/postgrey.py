"""postgrey's command line, as /etc/default/postgrey has it, as the daemon greylist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar

from gatepost.config.words import quoted
from gatepost.importing.catalogue import Fate
from gatepost.importing.conversion import Conversion, Unfit, number, origin, seconds
from gatepost.importing.draft import Draft, Option, Plain, Section, Sort
from gatepost.importing.postgrey_options import OPTIONAL, OPTIONS, SHORT, SWITCHES
from gatepost.importing.source import Flaw, Place, ReadFile, Setting, Source, UnreadableError

LISTS = {"whitelist-clients": "client_files", "whitelist-recipients": "recipient_files"}
_DEFAULT_LISTS = {
    "client_files": ("/etc/postgrey/whitelist_clients", "/etc/postgrey/whitelist_clients.local"),
    "recipient_files": ("/etc/postgrey/whitelist_recipients", "/etc/postgrey/whitelist_recipients.local"),
}
_PORT = re.compile(r"(?:(?P<host>.*):)?(?P<port>[0-9]{1,5})")
_WINDOW = re.compile(r"([0-9]{1,6})(h?)")
_AUTO_ALLOW = "5"


def command_line(source: Source) -> Source:
    """The options in POSTGREY_OPTS, and POSTGREY_TEXT as one of them, from the settings of a shell file."""
    found = Source([], list(source.flaws))
    text = source.value("POSTGREY_TEXT")
    for setting in source.settings:
        if setting.name == "POSTGREY_OPTS" and setting == source.value("POSTGREY_OPTS"):
            _parse(setting, found)
        elif setting.name != "POSTGREY_TEXT" and setting.name != "POSTGREY_OPTS":
            found.flaws.append(
                Flaw(setting.place, f"{setting.name} is neither POSTGREY_OPTS nor POSTGREY_TEXT")
            )
    if text is not None and text.value:
        found.settings.append(Setting("greylist-text", text.value, text.place))
    return found


def _parse(setting: Setting, found: Source) -> None:
    try:
        words = iter(shlex.split(setting.value))
    except ValueError:
        found.flaws.append(Flaw(setting.place, "a quotation mark is opened and never closed"))
        return
    for word in words:
        if word.startswith("--") and len(word) > 2:
            name, equals, value = word[2:].partition("=")
            _take(_full(name), equals, value, words, setting.place, found)
        elif word.startswith("-") and len(word) > 1:
            name = SHORT.get(word[1], word)
            value = word[2:].removeprefix("=")
            if name in SWITCHES:
                for letter in word[1:]:
                    found.settings.append(Setting(SHORT.get(letter, f"-{letter}"), "", setting.place))
            else:
                _take(name, "=" if value else "", value, words, setting.place, found)
        else:
            found.flaws.append(Flaw(setting.place, f"{quoted(word)} is no option"))


def _take(name: str, equals: str, value: str, words: Iterator[str], place: Place, found: Source) -> None:
    if not equals and name not in SWITCHES and name not in OPTIONAL and OPTIONS.find(name) is not None:
        value = next(words, "")
    found.settings.append(Setting(name, value, place))


def _full(name: str) -> str:
    """The option that *name* may stand for: its whole name, or as much of it as no other begins with."""
    if OPTIONS.find(name) is not None:
        return name
    fitting = [each for each in OPTIONS.names() if each.startswith(name)]
    return fitting[0] if len(fitting) == 1 else name


class Postgrey(Conversion):
    """The service. *source* has options for settings, without their dashes."""

    CATALOGUE = OPTIONS

    def __init__(self, source: Source, draft: Draft, read: ReadFile, file: str) -> None:
        super().__init__(source, draft, read)
        self.file_name = file
        self.section: Section = {}
        self._lists: dict[str, list[str]] = {}
        self._lists_from: dict[str, None] = {}

    def convert(self) -> None:
        """Add the daemon to the draft."""
        self.walk()
        place = Place(self.file_name)
        for key, paths in _DEFAULT_LISTS.items():
            if key not in self._lists:
                self._lists[key] = [path for path in paths if self._is_there(path)]
        allow: dict[str, Plain] = {key: list(paths) for key, paths in self._lists.items() if paths}
        if allow:
            note = ", ".join(self._lists_from) or "postgrey's own files"
            self.section["allow"] = Option(allow, note)
        if "socket" not in self.section:
            self.section["socket"] = Option("inet:10023@127.0.0.1", "none was given")
            self.draft.remark(Sort.TO_DO, place, "inet", "not given: the usual port was chosen")
        text = "what postgrey remembers is not taken over: run it first with dry_run: yes, and it learns who is known"
        self.draft.remark(Sort.DIFFERENT, place, "", text)
        text = "mail whose SPF result is pass is known by its domain, whatever host it comes from, unless spf: no"
        self.draft.remark(Sort.DIFFERENT, place, "", text)
        self.draft.add("greylist", self.section)

    def repeated(self) -> frozenset[str]:
        """Those whose values add up, and those without one that matters."""
        return frozenset(LISTS) | {name for name in SWITCHES if _is_noise(name)}

    def _is_there(self, path: str) -> bool:
        try:
            self._read(path)
        except UnreadableError:
            return False
        return True

    # -- rules

    def _inet(self, setting: Setting) -> None:
        found = _PORT.fullmatch(setting.value)
        if found is None:
            raise Unfit(f"{quoted(setting.value)} is not of the form [HOST:]PORT")
        host = found["host"] or "127.0.0.1"
        if host in ("localhost", "*"):
            host = "127.0.0.1" if host == "localhost" else "0.0.0.0"  # noqa: S104  # as it was
        self.put(self.section, "socket", f"inet:{found['port']}@{host}", setting)

    def _unix(self, setting: Setting) -> None:
        mode = self.source.value("socketmode")
        socket: dict[str, Plain] = {
            "address": f"unix:{self.whole_path(setting.value)}",
            "mode": mode.value if mode is not None else "0666",
        }
        self.put(self.section, "socket", socket, setting)

    def _mode(self, setting: Setting) -> None:
        if self.source.value("unix") is None:
            self.remark(Sort.LEFT_OUT, setting, "the socket is no file")
        else:
            self.remark(Sort.CARRIED, setting, "is mode of socket")

    def _delay(self, setting: Setting) -> None:
        self.put(self.section, "delay", seconds(setting), setting)

    def _max_age(self, setting: Setting) -> None:
        self.put(self.section, "max_age", f"{number(setting)}d", setting)

    def _window(self, setting: Setting) -> None:
        found = _WINDOW.fullmatch(setting.value)
        if found is None:
            raise Unfit(f"{quoted(setting.value)} is not a number of days, or of hours with an h behind")
        self.put(self.section, "retry_window", found[1] + (found[2] or "d"), setting)

    def _text(self, setting: Setting) -> None:
        if "{" in setting.value or "}" in setting.value:
            raise Unfit("braces cannot stand in text")
        text = setting.value.replace("%s", "{seconds}").replace("%r", "{domain}").replace("%%", "%")
        self.put(self.section, "text", text, setting)

    def _host(self, setting: Setting) -> None:
        self.put(self.section, "ipv4_prefix", 32, setting)
        self.put(self.section, "ipv6_prefix", 128, setting)

    def _four(self, setting: Setting) -> None:
        self._prefix("ipv4_prefix", setting)

    def _six(self, setting: Setting) -> None:
        self._prefix("ipv6_prefix", setting)

    def _prefix(self, key: str, setting: Setting) -> None:
        if self.source.value("lookup-by-host") is not None:
            self.remark(Sort.SAME, setting, "lookup-by-host is given, which counts")
        else:
            self.put(self.section, key, number(setting), setting)

    def _auto(self, setting: Setting) -> None:
        count = number(setting if setting.value else setting._replace(value=_AUTO_ALLOW))
        self.put(self.section, "auto_allow", count, setting)

    def _list(self, setting: Setting) -> None:
        path = self.whole_path(setting.value)
        paths = self._lists.setdefault(LISTS[setting.name], [])
        self.file(path)
        paths.append(path)
        self._lists_from[origin(setting)] = None
        self.remark(Sort.CARRIED, setting, f"is allow.{LISTS[setting.name]}")

    RULES: ClassVar[Mapping[str, Callable[..., None]]] = {
        "auto-whitelist-clients": _auto,
        "delay": _delay,
        "greylist-text": _text,
        "inet": _inet,
        "ipv4cidr": _four,
        "ipv6cidr": _six,
        "lookup-by-host": _host,
        "max-age": _max_age,
        "retry-window": _window,
        "socketmode": _mode,
        "unix": _unix,
        "whitelist-clients": _list,
        "whitelist-recipients": _list,
    }


def _is_noise(name: str) -> bool:
    known = OPTIONS.find(name)
    return known is not None and known.fate is Fate.MEANINGLESS
