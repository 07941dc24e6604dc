"""Files of another daemon become a draft: the one way in."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Protocol

from pydantic import ValidationError

from gatepost.config.explain import explain
from gatepost.config.settings import KINDS, Config
from gatepost.importing.catalogue import Catalogue
from gatepost.importing.draft import Draft, Option, Plain, Section, Sort
from gatepost.importing.opendkim import OpenDkim
from gatepost.importing.opendkim_options import OPTIONS as OPENDKIM
from gatepost.importing.opendmarc import OpenDmarc, rejects
from gatepost.importing.opendmarc_options import OPTIONS as OPENDMARC
from gatepost.importing.policyd_spf import PolicydSpf
from gatepost.importing.policyd_spf_options import OPTIONS as POLICYD_SPF
from gatepost.importing.postgrey import Postgrey, command_line
from gatepost.importing.postgrey_options import OPTIONS as POSTGREY
from gatepost.importing.source import (
    Flaw,
    Place,
    ReadFile,
    Setting,
    Source,
    is_shell,
    parse_equations,
    parse_shell,
    parse_words,
)

PEERS: Mapping[str, Catalogue] = {
    "opendkim": OPENDKIM,
    "opendmarc": OPENDMARC,
    "policyd-spf": POLICYD_SPF,
    "postgrey": POSTGREY,
}
"""The daemons whose configuration can be taken over, with all their options."""


class _Instance(Protocol):
    def convert(self) -> None: ...


def take_over(peer: str, files: Sequence[tuple[str, str]], read: ReadFile) -> Draft:
    """Make a draft of the *files* of *peer* (a key of PEERS): their paths and texts.

    Each is one instance, save for assignments as in /etc/default: these complete
    the file before them (or the one behind, if they are the first). *read*
    gives the files that they name.
    """
    draft = Draft()
    for instance in _instances(peer, files, draft, read):
        instance.convert()
    _drop_what_does_not_fit(draft)
    if any("key_table" in section or "keys" in section for section in draft.daemons.values()):
        text = (
            "the unit runs dkim-sign as gatepost-sign, who has to be able to read keys and tables: give it copies,"
            " as OpenDKIM refuses a key that another user may read"
        )
        draft.remark(Sort.TO_DO, Place(files[0][0]), "", text)
    return draft


def _instances(peer: str, files: Sequence[tuple[str, str]], draft: Draft, read: ReadFile) -> list[_Instance]:
    if peer == "policyd-spf":
        return [PolicydSpf(parse_equations(text, path), draft, read, path) for path, text in files]
    if peer == "postgrey":
        return [Postgrey(command_line(parse_shell(text, path)), draft, read, path) for path, text in files]
    sources = _completed(files, read)
    if peer == "opendkim":
        return [OpenDkim(source, draft, read, path) for path, source in sources]
    enforcing = [path for path, source in sources if rejects(source)]
    return [
        OpenDmarc(source, draft, read, path, others_enforce=bool(set(enforcing) - {path}))
        for path, source in sources
    ]


# -- /etc/default


def _completed(files: Sequence[tuple[str, str]], read: ReadFile) -> list[tuple[str, Source]]:
    """The configurations, each with what a file of assignments adds to it."""
    sources: list[tuple[str, Source]] = []
    waiting: list[Source] = []
    for path, text in files:
        if is_shell(text):
            defaults = _defaults(parse_shell(text, path))
            if sources:
                _extend(sources[-1][1], defaults)
            else:
                waiting.append(defaults)
            continue
        source = parse_words(text, path, read)
        for defaults in waiting:
            _extend(source, defaults)
        waiting = []
        sources.append((path, source))
    if waiting:
        # Assignments alone: the configuration itself is missing, and everything in it has its default.
        source = Source([], [])
        for defaults in waiting:
            _extend(source, defaults)
        sources.append((files[0][0], source))
    return sources


def _extend(source: Source, more: Source) -> None:
    source.settings.extend(more.settings)
    source.flaws.extend(more.flaws)


_FLAGS = {"-p": "Socket", "-P": "PidFile", "-u": "UserID"}
_WORTHLESS = frozenset({"RUNDIR", "NAME", "EXTRAAFTER", "TRUSTEDHOSTS"})


def _defaults(shell: Source) -> Source:
    """The options that assignments in /etc/default come to; they are put on the command line, and count."""
    found = Source([], list(shell.flaws))
    group = shell.value("GROUP")
    for setting in shell.settings:
        name, value = setting.name, setting.value
        if setting != shell.value(name) or not value or name in _WORTHLESS or name == "GROUP":
            continue
        if name == "SOCKET":
            found.settings.append(Setting("Socket", value, setting.place))
        elif name == "USER":
            owner = f"{value}:{group.value}" if group is not None and group.value else value
            found.settings.append(Setting("UserID", owner, setting.place))
        elif name == "PIDFILE":
            found.settings.append(Setting("PidFile", value, setting.place))
        elif name == "DAEMON_OPTS":
            _flags(setting, found)
        else:
            found.flaws.append(Flaw(setting.place, f"{name} is not known"))
    return found


def _flags(setting: Setting, found: Source) -> None:
    """The options of a command line that the configuration has too."""
    try:
        words = iter(shlex.split(setting.value))
    except ValueError:
        words = iter(())
        found.flaws.append(Flaw(setting.place, "a quotation mark is opened and never closed"))
    for word in words:
        name = _FLAGS.get(word[:2])
        if name is not None:
            found.settings.append(Setting(name, word[2:] or next(words, ""), setting.place))
        elif word not in ("-f", "-l", "-x"):
            text = f"{word} on the command line: write it as an option into the configuration"
            found.flaws.append(Flaw(setting.place, text))
        elif word == "-x":
            next(words, "")


# -- the whole


def _drop_what_does_not_fit(draft: Draft) -> None:
    """Take out what the configuration would not take, such as numbers beyond a bound, and say so."""
    for name, section in draft.daemons.items():
        kind = section.get("kind", Option(name, "")).value
        model = KINDS[str(kind)]
        plain: dict[str, Plain] = {key: option.value for key, option in section.items()}
        try:
            model.model_validate({**plain, "kind": kind})
        except ValidationError as error:
            for fault in error.errors(include_url=False):
                if fault["loc"] and fault["loc"][0] in section:
                    _drop(draft, section, str(fault["loc"][0]), explain(model, fault))
    common = {**draft.plain(), "daemons": {}}
    try:
        Config.model_validate({"authserv_id": "localhost"} | common)
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            key = ".".join(str(part) for part in fault["loc"][:2] if isinstance(part, str))
            if key in draft.common:
                _drop(draft, draft.common, key, explain(Config, fault))


def _drop(draft: Draft, section: Section, key: str, text: str) -> None:
    option = section.pop(key)
    draft.remark(Sort.FLAW, Place(option.origin or key), "", f"{key} is left out: {text}")
