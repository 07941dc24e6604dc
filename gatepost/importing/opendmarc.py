"""OpenDMARC's configuration as a dmarc daemon, in mode enforce or stamp."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import PurePath
from typing import ClassVar

from gatepost.importing.conversion import Unfit, yes_or_no
from gatepost.importing.draft import Draft, Option, Section, Sort
from gatepost.importing.hosts import LOOPBACK, network_of, to_patterns
from gatepost.importing.milter import MilterConversion
from gatepost.importing.opendmarc_options import OPTIONS
from gatepost.importing.source import Place, ReadFile, Setting, Source

_HISTORY = "/var/lib/gatepost/dmarc.db"


class OpenDmarc(MilterConversion):
    """One instance.

    It enforces where RejectFailures says so. One that does not is a stamp daemon
    where its file is called so or another instance (*others_enforce*) enforces;
    alone, it is the one that sees mail come in, and refuses nothing.
    """

    CATALOGUE = OPTIONS

    def __init__(
        self, source: Source, draft: Draft, read: ReadFile, file: str, *, others_enforce: bool
    ) -> None:
        super().__init__(source, draft, read)
        self.file_name = file
        self.rejects = rejects(source)
        called_so = "stamp" in PurePath(file).name.lower()
        self.stamps = not self.rejects and (called_so or others_enforce)
        self.section: Section = {"mode": Option("stamp" if self.stamps else "enforce", "")}
        self.sections = {"dmarc": self.section}

    def convert(self) -> None:
        """Add the daemon to the draft."""
        self.walk()
        if not self.stamps:
            self._enforce_as_before()
        if self.source.value("Socket") is None:
            port = 8894 if self.stamps else 8893
            self.section["socket"] = Option(f"inet:{port}@127.0.0.1", "none was given")
            text = "not given: an address was chosen, to be put into Postfix"
            self.draft.remark(Sort.TO_DO, Place(self.file_name), "Socket", text)
        name = "dmarc-stamp" if self.stamps else "dmarc-enforce" if self.rejects else "dmarc"
        self.draft.add("dmarc", self.section, name)

    def _enforce_as_before(self) -> None:
        """Say what OpenDMARC does by default, where that is something else than ours."""
        place, note = Place(self.file_name), "as OpenDMARC by default"
        if not self.rejects:
            self.section.setdefault("on_reject", Option("accept", note))
            self.section.setdefault("indirect_mail", Option("accept", note))
        else:
            text = "mail that comes through a mailing list is held, not refused (indirect_mail), where p=reject fails"
            self.draft.remark(Sort.DIFFERENT, place, "RejectFailures", text)
        self.section.setdefault("on_quarantine", Option("accept", note))
        if self.source.value("IgnoreHosts") is None:
            self.section["ignore_hosts"] = Option(["127.0.0.1"], note)
        if self.source.value("HistoryFile") is None:
            self.section["history"] = Option(None, "no HistoryFile was given")
        if self.source.value("IgnoreAuthenticatedClients") is None:
            text = "not given: users who have logged in are left alone, unless ignore_authenticated: no"
            self.draft.remark(Sort.DIFFERENT, place, "IgnoreAuthenticatedClients", text)

    # -- rules

    def _reject(self, setting: Setting) -> None:
        rejecting = yes_or_no(setting)
        if self.stamps:
            self.remark(Sort.CARRIED, setting, "is mode: stamp")
            return
        self.put(self.section, "on_reject", "reject" if rejecting else "accept", setting)
        self.put(self.section, "on_temperror", "tempfail" if rejecting else "accept", setting)

    def _hold(self, setting: Setting) -> None:
        holds = yes_or_no(setting)
        if not self._never_refuses(setting):
            self.put(self.section, "on_quarantine", "quarantine" if holds else "accept", setting)

    def _bad_from(self, setting: Setting) -> None:
        if not yes_or_no(setting):
            self.remark(Sort.SAME, setting, "switched off")
        elif not self._never_refuses(setting):
            self.put(self.section, "bad_from", "reject", setting)

    def _never_refuses(self, setting: Setting) -> bool:
        if self.stamps:
            self.remark(
                Sort.LEFT_OUT,
                setting,
                "mode stamp refuses and holds nothing: that is done where mail comes in",
            )
        return self.stamps

    def _required(self, setting: Setting) -> None:
        self._bad_from(setting)
        if yes_or_no(setting) and not self.stamps:
            text = "counts of fields other than From are dkim-verify's: required_headers: reject"
            self.remark(Sort.DIFFERENT, setting, text)

    def _history(self, setting: Setting) -> None:
        if self.stamps:
            self.remark(
                Sort.LEFT_OUT, setting, "the daemon that enforces keeps the history; twice would count twice"
            )
            return
        self.put(self.section, "history", _HISTORY, setting)
        text = f"the history is an SQLite database, {_HISTORY}, which opendmarc-import does not read"
        self.remark(Sort.DIFFERENT, setting, text)

    def _ignored_hosts(self, setting: Setting) -> None:
        patterns, others = to_patterns(self.members(self.whole_path(setting.value)))
        for entry, reason in others:
            self.draft.remark(Sort.FLAW, entry.place, setting.name, reason)
        if self.stamps and any(map(_is_loopback, patterns)):
            patterns = [each for each in patterns if not _is_loopback(each)]
            text = "127.0.0.1 is not ignored: all mail comes from there behind a content filter, and is to be stamped"
            self.remark(Sort.DIFFERENT, setting, text)
        if patterns:
            self.put(self.section, "ignore_hosts", list(patterns), setting)
        else:
            self.remark(Sort.SAME, setting, "no other host is in it")

    def _ignored_authors(self, setting: Setting) -> None:
        names = [name.strip() for name in setting.value.split(",") if name.strip()]
        self.put(self.section, "ignore_from", list(names), setting)

    def _authenticated(self, setting: Setting) -> None:
        self.put(self.section, "ignore_authenticated", yes_or_no(setting), setting)

    def _trusted(self, setting: Setting) -> None:
        self.also_ours([name.strip() for name in setting.value.split(",") if name.strip()], setting)
        if "authserv_aliases" in self.draft.common:
            text = "only sealed results are believed: where another program writes them, see believe_unsealed_from"
            self.remark(Sort.DIFFERENT, setting, text)

    RULES: ClassVar[Mapping[str, Callable[..., None]]] = {
        "authservid": MilterConversion.authserv_id,
        "basedirectory": MilterConversion.base_directory,
        "dnstimeout": MilterConversion.dns_timeout,
        "historyfile": _history,
        "holdquarantinedmessages": _hold,
        "ignoreauthenticatedclients": _authenticated,
        "ignorehosts": _ignored_hosts,
        "ignoremailfrom": _ignored_authors,
        "rejectfailures": _reject,
        "rejectmultivaluefrom": _bad_from,
        "requiredheaders": _required,
        "socket": MilterConversion.socket,
        "trustedauthservids": _trusted,
        "umask": MilterConversion.umask,
    }


def rejects(source: Source) -> bool:
    """Whether the instance refuses mail."""
    setting = source.value("RejectFailures")
    try:
        return setting is not None and yes_or_no(setting)
    except Unfit:
        return False


def _is_loopback(pattern: str) -> bool:
    network = network_of(pattern.removeprefix("!"))
    four, six = LOOPBACK
    if isinstance(network, IPv4Network) and isinstance(four, IPv4Network):
        return network.overlaps(four)
    return isinstance(network, IPv6Network) and isinstance(six, IPv6Network) and network.overlaps(six)
