"""policyd-spf's configuration as the daemon spf."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from gatepost.config.reason import Reason
from gatepost.config.words import quoted
from gatepost.importing.conversion import Conversion, Unfit, number, origin, seconds
from gatepost.importing.draft import Draft, Option, Plain, Section, Sort
from gatepost.importing.hosts import collapse, network_of, shown
from gatepost.importing.milter import domain
from gatepost.importing.policyd_spf_options import OPTIONS
from gatepost.importing.source import Place, ReadFile, Setting, Source

SOCKET = "/var/spool/postfix/private/gatepost-spf"

_REJECTS = {
    "fail": "fail",
    "softfail": "softfail",
    "spf_not_pass": "not_pass",
    "null": "null_sender",
    "false": "never",
    "no_check": "no_check",
}
_HEADERS = {"ar": "a-r", "spf": "received-spf", "none": "none"}
_PLACEHOLDERS = {"{rejectdefer}": "rejected", "{spf}": "SPF {result}", "{url}": "{explanation}"}
_PER_RECIPIENT = frozenset(
    {
        "helo_reject",
        "mail_from_reject",
        "reject_only_no_mail",
        "permerror_reject",
        "temperror_defer",
        "dry_run",
    }
    | {"reason"}
)
_LOOKUP_SECONDS = 20


class PolicydSpf(Conversion):
    """The service. It has no socket of its own: Postfix started it by spawn(8)."""

    CATALOGUE = OPTIONS

    def __init__(self, source: Source, draft: Draft, read: ReadFile, file: str) -> None:
        super().__init__(source, draft, read)
        self.file_name = file
        self.section: Section = {}
        self._allow: dict[str, Plain] = {}

    def convert(self) -> None:
        """Add the daemon to the draft."""
        socket: dict[str, Plain] = {"address": f"unix:{SOCKET}", "mode": "0660", "group": "postfix"}
        self.section["socket"] = Option(socket, "instead of spawn(8) in master.cf")
        self.walk()
        text = (
            'in main.cf, "check_policy_service unix:private/gatepost-spf" instead of'
            " unix:private/policyd-spf; then its entry can leave master.cf"
        )
        place = Place(self.file_name)
        self.draft.remark(Sort.TO_DO, place, "", text)
        if self.source.value("Header_Type") is None:
            text = (
                "not given: Authentication-Results is written, which dmarc reads, where it was Received-SPF"
            )
            self.draft.remark(Sort.DIFFERENT, place, "Header_Type", text)
        for name, key in (("HELO_reject", "helo_reject"), ("Mail_From_reject", "mail_from_reject")):
            if self.source.value(name) is None:
                text = f"not given: {key} is fail, or never where a dmarc daemon enforces"
                self.draft.remark(Sort.DIFFERENT, place, name, text)
        self.draft.add("spf", self.section)

    # -- rules

    def _helo(self, setting: Setting) -> None:
        self.put(self.section, "helo_reject", _reject(setting), setting)

    def _mail_from(self, setting: Setting) -> None:
        self.put(self.section, "mail_from_reject", _reject(setting), setting)

    def _skip(self, setting: Setting) -> None:
        self.put(self.section, "skip_addresses", self._networks(setting), setting)

    def _addresses(self, setting: Setting) -> None:
        self._allow_more("addresses", self._networks(setting), setting)
        self.remark(Sort.DIFFERENT, setting, "mail from there is checked and marked, and never refused")

    def _networks(self, setting: Setting) -> list[Plain]:
        networks = []
        for text in _listed(setting):
            network = network_of(text)
            if network is None:
                self.remark(Sort.FLAW, setting, f"{quoted(text)} is no address or network")
            else:
                networks.append(network)
        return list(shown(collapse(networks)))

    def _allow_more(self, key: str, values: list[Plain], setting: Setting) -> None:
        before = self.section.get("allow")
        self._allow[key] = values
        self.put(self.section, "allow", dict(self._allow), setting)
        if before is not None:
            self.section["allow"] = Option(dict(self._allow), f"{before.origin}, {origin(setting)}")

    def _header(self, setting: Setting) -> None:
        header = _HEADERS.get(setting.value.lower())
        if header is None:
            raise Unfit(f"{quoted(setting.value)} is not SPF, AR or None")
        self.put(self.section, "header", header, setting)
        if header != "a-r":
            text = "behind a content filter, dmarc knows SPF from Authentication-Results alone: header: a-r"
            self.remark(Sort.DIFFERENT, setting, text)

    def _hide(self, setting: Setting) -> None:
        # Any value but No hides it.
        self.put(self.section, "hide_receiver", setting.value != "No", setting)

    def _authserv_id(self, setting: Setting) -> None:
        if setting.value == "HOSTNAME":
            self.remark(Sort.SAME, setting, "this host's name, if no authserv_id is given")
        else:
            self.put_common("authserv_id", domain(setting.value), setting)

    def _lookup_time(self, setting: Setting) -> None:
        if number(setting) == _LOOKUP_SECONDS:
            self.remark(Sort.SAME, setting, "dns.message_timeout is so by default")
        else:
            self.put_common("dns.message_timeout", seconds(setting), setting)

    def _test_only(self, setting: Setting) -> None:
        test = number(setting) == 0
        self.put(self.section, "dry_run", test, setting)
        if test:
            text = "0 means a test, in which nothing was refused: write dry_run: no if mail is to be refused"
            self.remark(Sort.TO_DO, setting, text)

    def _reason(self, setting: Setting) -> None:
        self.put(self.section, "reason", _converted_reason(setting), setting)

    def _per_user(self, setting: Setting) -> None:
        kind, _, path = (part.strip() for part in setting.value.partition(","))
        if kind != "text":
            raise Unfit(f'{quoted(setting.value)} is not of the form "text,/path"')
        path = self.whole_path(path)
        overrides: dict[str, Plain] = {}
        for line, text in enumerate(self.file(path).splitlines(), 1):
            if text.strip() and not text.startswith("#"):
                recipient, override = self._override(text.strip(), Place(path, line))
                if override:
                    overrides[recipient] = override
        self.put(self.section, "overrides", overrides, setting)

    def _override(self, text: str, place: Place) -> tuple[str, dict[str, Plain]]:
        """One line, ``recipient,option=value|option=value``."""
        recipient, _, rest = text.partition(",")
        settings = []
        for part in rest.split("|"):
            name, _, value = part.partition("=")
            settings.append(Setting(name.strip(), value.strip(), place))
        own = PolicydSpf(Source(settings, []), Draft(), self._read, place.file)
        if "@" not in recipient or any(char in recipient for char in "*^$[]()\\+"):
            self.draft.remark(
                Sort.UNSUPPORTED, place, recipient, "overrides: are for an address, or all of a domain"
            )
            return recipient, {}
        own.walk()
        told = [remark for remark in own.draft.remarks if remark.sort not in (Sort.CARRIED, Sort.SAME)]
        self.draft.remarks += told
        for key in own.section.keys() - _PER_RECIPIENT:
            text = f"{key} is the same for all recipients"
            self.draft.remark(Sort.UNSUPPORTED, place, recipient, text)
        return recipient, {key: option.value for key, option in own.section.items() if key in _PER_RECIPIENT}

    RULES: ClassVar[Mapping[str, Callable[..., None]]] = {}


def _reject(setting: Setting) -> str:
    word = _REJECTS.get(setting.value.lower())
    if word is None:
        raise Unfit(f"{quoted(setting.value)} is none of the words that can stand here")
    return word


def _is_true(setting: Setting) -> bool:
    if setting.value.lower() not in ("true", "false", "yes", "no", "1", "0"):
        raise Unfit(f"{quoted(setting.value)} is neither True nor False")
    return setting.value.lower() in ("true", "yes", "1")


def _listed(setting: Setting) -> list[str]:
    return [text for text in map(str.strip, setting.value.split(",")) if text]


def _converted_reason(setting: Setting) -> str:
    text = setting.value
    for theirs, ours in _PLACEHOLDERS.items():
        text = text.replace(theirs, ours)
    try:
        Reason(text)
    except ValueError as error:
        raise Unfit(str(error)) from None
    return text


def _flag(key: str) -> Callable[[PolicydSpf, Setting], None]:
    return lambda conversion, setting: conversion.put(conversion.section, key, _is_true(setting), setting)


def _names(key: str) -> Callable[[PolicydSpf, Setting], None]:
    return lambda conversion, setting: conversion._allow_more(key, list(_listed(setting)), setting)


PolicydSpf.RULES = {
    "authserv_id": PolicydSpf._authserv_id,
    "domain_whitelist": _names("domains"),
    "domain_whitelist_ptr": _names("ptr"),
    "helo_whitelist": _names("helo"),
    "helo_reject": PolicydSpf._helo,
    "header_type": PolicydSpf._header,
    "hide_receiver": PolicydSpf._hide,
    "lookup_time": PolicydSpf._lookup_time,
    "mail_from_reject": PolicydSpf._mail_from,
    "no_mail": _flag("reject_only_no_mail"),
    "per_user": PolicydSpf._per_user,
    "permerror_reject": _flag("permerror_reject"),
    "reason_message": PolicydSpf._reason,
    "temperror_defer": _flag("temperror_defer"),
    "testonly": PolicydSpf._test_only,
    "defaultseedonly": PolicydSpf._test_only,
    "whitelist": PolicydSpf._addresses,
    "skip_addresses": PolicydSpf._skip,
}
