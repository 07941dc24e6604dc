"""OpenDKIM's configuration, and dkim-filter's before it, as dkim-verify and dkim-sign."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address
from typing import ClassVar

from gatepost.config.words import quoted
from gatepost.importing.conversion import Unfit, number, seconds, yes_or_no
from gatepost.importing.draft import Draft, Option, Plain, Sort
from gatepost.importing.hosts import shown, to_networks
from gatepost.importing.keys import Keys
from gatepost.importing.milter import MilterConversion
from gatepost.importing.opendkim_options import OPTIONS
from gatepost.importing.source import Place, ReadFile, Setting, Source

VERIFY, SIGN = "dkim-verify", "dkim-sign"

_ACTIONS = {"a": "accept", "d": "discard", "q": "quarantine", "r": "reject", "t": "tempfail"}
_VERIFIER_ACTIONS = {
    "on-badsignature": "on_fail",
    "on-dnserror": "on_temperror",
    "on-keynotfound": "on_key_not_found",
    "on-nosignature": "on_no_signature",
    "on-security": "on_security",
}
_SHORTEST_VERIFIED, _SHORTEST_SIGNED = 512, 1024


class OpenDkim(Keys, MilterConversion):
    """One instance. In mode sv it becomes two daemons."""

    CATALOGUE = OPTIONS

    def __init__(self, source: Source, draft: Draft, read: ReadFile, file: str) -> None:
        super().__init__(source, draft, read)
        self.file_name = file
        mode = source.value("Mode")
        letters = mode.value.lower() if mode is not None else "sv"
        has_keys = any(source.value(name) for name in ("KeyTable", "KeyFile", "KeyList", "SigningTable"))
        place = mode.place if mode is not None else Place(file)
        self.sections = {VERIFY: {}} if "v" in letters else {}
        if "s" in letters and (has_keys or not self.sections):
            self.sections[SIGN] = {}
        if "s" in letters and not has_keys:
            text = "there is no key to sign with" + (": it becomes a verifier" if self.sections else "")
            draft.remark(Sort.DIFFERENT if "v" in letters else Sort.FLAW, place, "Mode", text)

    def convert(self) -> None:
        """Add the daemons to the draft."""
        self.walk()
        self._say_what_differs()
        for kind, section in self.sections.items():
            self.draft.add(kind, section)

    # -- rules

    def _mode(self, setting: Setting) -> None:
        unknown = set(setting.value.lower()) - {"s", "v"}
        if unknown or not setting.value:
            raise Unfit(f"{quoted(setting.value)} is not made of s and v")
        self.remark(Sort.CARRIED, setting, f"is {' and '.join(self.sections)}")

    def _internal_hosts(self, setting: Setting) -> None:
        networks, others = to_networks(self.entries(setting))
        for entry, reason in others:
            self.draft.remark(Sort.FLAW, entry.place, setting.name, reason)
        if any(IPv4Address("127.0.0.1") in network for network in networks):
            self.put_common("trusted_networks", list(shown(networks)), setting)
            return
        if VERIFY in self.sections:
            self.put(self.sections[VERIFY], "verify_local", True, setting)
        self.put_common("trusted_networks", ["127.0.0.0/8", "::1", *shown(networks)], setting)
        text = "127.0.0.1 is one of us all the same, as that is where the content filter and our own mail come from"
        self.remark(Sort.DIFFERENT, setting, text)

    def _for(self, kind: str, key: str, value: Plain, setting: Setting) -> None:
        """Carry over to the daemon of that *kind*, if there is one."""
        section = self.sections.get(kind)
        if section is None:
            said = "verifying" if kind == VERIFY else "signing"
            self.remark(Sort.LEFT_OUT, setting, f"concerns {said}, which this instance does not do")
        else:
            self.put(section, key, value, setting)

    def _always_add(self, setting: Setting) -> None:
        if VERIFY not in self.sections:
            text = "concerns verifying: OpenDKIM adds no field to what it signs; authentication_results: yes does"
            self.remark(Sort.LEFT_OUT, setting, text)
            return
        self._for(VERIFY, "ar_for_unsigned", yes_or_no(setting), setting)

    def _on_default(self, setting: Setting) -> None:
        action = _action(setting)
        for name, key in _VERIFIER_ACTIONS.items():
            if VERIFY in self.sections and not self.source.value(name) and name != "on-nosignature":
                self.put(self.sections[VERIFY], key, action, setting)
        if VERIFY in self.sections:
            self.put(self.sections[VERIFY], "on_permerror", action, setting)
        if not self.source.value("On-InternalError"):
            self._on_internal_error(setting)
        if SIGN in self.sections and not self.source.value("On-SignatureError"):
            self._on_signature_error(setting)

    def _on_internal_error(self, setting: Setting) -> None:
        for section in self.sections.values():
            self.put(section, "on_internal_error", self._mild(setting), setting)

    def _on_signature_error(self, setting: Setting) -> None:
        self._for(SIGN, "on_signing_error", self._mild(setting), setting)

    def _mild(self, setting: Setting) -> str:
        action = _action(setting)
        if action not in ("accept", "tempfail"):
            self.remark(
                Sort.DIFFERENT, setting, f"tempfail, not {action}: no mail is lost for a fault of ours"
            )
            return "tempfail"
        return action

    def _quarantine(self, setting: Setting) -> None:
        if not yes_or_no(setting):
            self.remark(Sort.SAME, setting, "switched off")
        elif self.source.value("On-BadSignature"):
            self.remark(Sort.DIFFERENT, setting, "On-BadSignature is given, which counts")
        else:
            self._for(VERIFY, "on_fail", "quarantine", setting)

    def _key_bits(self, setting: Setting) -> None:
        bits = number(setting)
        for kind, least in ((VERIFY, _SHORTEST_VERIFIED), (SIGN, _SHORTEST_SIGNED)):
            if kind in self.sections:
                self._for(kind, "min_rsa_bits", max(bits, least), setting)
                if bits < least:
                    self.remark(Sort.DIFFERENT, setting, f"{kind} takes no key below {least} bits")

    def _maximum_headers(self, setting: Setting) -> None:
        octets = number(setting)
        if octets == 0:
            self.remark(
                Sort.DIFFERENT, setting, "there is always a limit: limits.header_bytes, 1 MB by default"
            )
            return
        for section in self.sections.values():
            self.put(section, "limits", {"header_bytes": octets}, setting)

    def _required_headers(self, setting: Setting) -> None:
        self._header_count(setting, "reject")

    def _strict_headers(self, setting: Setting) -> None:
        required = self.source.value("RequiredHeaders")
        if required is not None and yes_or_no(required):
            self.remark(Sort.SAME, setting, "RequiredHeaders asks for more")
        else:
            self._header_count(setting, "policy")

    def _header_count(self, setting: Setting, action: str) -> None:
        if yes_or_no(setting):
            self._for(VERIFY, "required_headers", action, setting)
        else:
            self.remark(Sort.SAME, setting, "switched off")

    def _must_be_signed(self, setting: Setting) -> None:
        names = [entry.text.lower() for entry in self.entries(setting)]
        self._for(VERIFY, "must_be_signed", list(dict.fromkeys(["from", *names])), setting)

    def _nameservers(self, setting: Setting) -> None:
        self.put_common("dns.nameservers", [part.strip() for part in setting.value.split(",")], setting)

    def _remove_ar_from(self, setting: Setting) -> None:
        names = [entry.text for entry in self.entries(setting)]
        for name in (name for name in names if name.startswith(".")):
            text = f"{quoted(name)} is not supported: give the full names in authserv_aliases"
            self.remark(Sort.UNSUPPORTED, setting, text)
        self.also_ours([name for name in names if not name.startswith(".")], setting)

    # -- what was not said

    def _say_what_differs(self) -> None:
        """Tell of defaults that are others than OpenDKIM's."""
        if VERIFY in self.sections:
            self._differs("On-DNSError", "on_temperror is accept, where OpenDKIM put the mail off")
            self._differs("On-Security", "on_security is accept, where OpenDKIM put the mail off")
            text = "dkim=none is written on unsigned mail too, unless ar_for_unsigned: no"
            self._differs("AlwaysAddARHeader", text)
            text = "a body that is signed only in part (l=) gives policy, where OpenDKIM says pass"
            self._differs("Minimum", text)
        if SIGN in self.sections:
            self._differs("Canonicalization", "relaxed/relaxed, where OpenDKIM's default is simple/simple")
            text = "13 header fields are signed once more than they occur, so that none can be added"
            self._differs("OversignHeaders", text)
            self._differs(
                "On-SignatureError", "on_signing_error is tempfail, where OpenDKIM refused the mail"
            )
            self._default_key_bits()
        if self.source.value("AuthservID") is None:
            text = "the name is this host's, where OpenDKIM took Postfix's myhostname: see that they are the same"
            self._differs("AuthservID", text)
        if self.source.value("Socket") is None:
            self._default_socket()

    def _differs(self, name: str, text: str) -> None:
        given = self.source.value(name) or (name.startswith("On-") and self.source.value("On-Default"))
        if not given:
            self.draft.remark(Sort.DIFFERENT, Place(self.file_name), name, f"not given: {text}")

    def _default_key_bits(self) -> None:
        if self.source.value("MinimumKeyBits") is None:
            note = "as in OpenDKIM; 2048 is better, once no key is shorter"
            self.sections[SIGN]["min_rsa_bits"] = Option(_SHORTEST_SIGNED, note)

    def _default_socket(self) -> None:
        for kind, port in ((VERIFY, 8891), (SIGN, 8892)):
            if kind in self.sections:
                address = f"inet:{port}@127.0.0.1"
                self.sections[kind]["socket"] = Option(address, "none was given")
        text = "not given, nor a file of /etc/default with it: an address was chosen, to be put into Postfix"
        self.draft.remark(Sort.TO_DO, Place(self.file_name), "Socket", text)

    RULES: ClassVar[Mapping[str, Callable[..., None]]] = {}


def _action(setting: Setting) -> str:
    action = _ACTIONS.get(setting.value[:1].lower())
    if action is None:
        raise Unfit(f"{quoted(setting.value)} is no action")
    return action


def _copied(kind: str, key: str, convert: Callable[[Setting], Plain]) -> Callable[[OpenDkim, Setting], None]:
    """A rule for an option that has its like here."""

    def rule(conversion: OpenDkim, setting: Setting) -> None:
        conversion._for(kind, key, convert(setting), setting)

    return rule


def _text(setting: Setting) -> str:
    return setting.value.lower()


OpenDkim.RULES = {
    "alwaysaddarheader": OpenDkim._always_add,
    "authservid": OpenDkim.authserv_id,
    "basedirectory": OpenDkim.base_directory,
    "canonicalization": _copied(SIGN, "canonicalization", _text),
    "clockdrift": _copied(VERIFY, "clock_drift", seconds),
    "dnstimeout": OpenDkim.dns_timeout,
    "domain": OpenDkim.domain,
    "dontsignmailto": OpenDkim.dont_sign_to,
    "include": OpenDkim.included,
    "internalhosts": OpenDkim._internal_hosts,
    "keyfile": OpenDkim.key_file,
    "keylist": OpenDkim.key_list,
    "keytable": OpenDkim.key_table,
    "macrolist": OpenDkim.macros,
    "maximumheaders": OpenDkim._maximum_headers,
    "maximumsignaturestoverify": _copied(VERIFY, "max_signatures", number),
    "minimumkeybits": OpenDkim._key_bits,
    "mode": OpenDkim._mode,
    "mta": OpenDkim.mta,
    "mustbesigned": OpenDkim._must_be_signed,
    "nameservers": OpenDkim._nameservers,
    "omitheaders": OpenDkim.omit_headers,
    **{name: _copied(VERIFY, key, _action) for name, key in _VERIFIER_ACTIONS.items()},
    "on-default": OpenDkim._on_default,
    "on-internalerror": OpenDkim._on_internal_error,
    "on-signatureerror": OpenDkim._on_signature_error,
    "oversignheaders": OpenDkim.oversign,
    "peerlist": OpenDkim.ignore_hosts,
    "quarantine": OpenDkim._quarantine,
    "removearfrom": OpenDkim._remove_ar_from,
    "removeoldsignatures": _copied(SIGN, "remove_old_signatures", yes_or_no),
    "requiredheaders": OpenDkim._required_headers,
    "requiresafekeys": _copied(SIGN, "require_safe_keys", yes_or_no),
    "selector": OpenDkim.domain,
    "senderheaders": OpenDkim.sender_headers,
    "signaturettl": _copied(SIGN, "signature_ttl", seconds),
    "signheaders": OpenDkim.sign_headers,
    "signingtable": OpenDkim.signing_table,
    "socket": OpenDkim.socket,
    "strictheaders": OpenDkim._strict_headers,
    "subdomains": OpenDkim.domain,
    "umask": OpenDkim.umask,
}
