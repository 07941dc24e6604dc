"""dkim-sign: signs what our own users send, with every key that the sender has.

Two questions decide: is this client one of ours, and has the sender a key? The
answer to both stands in the log for every message, above all when it is no.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from gatepost.address import AddressError, Mailbox, authors
from gatepost.authres.border import FIELD_NAME
from gatepost.authres.result import Result
from gatepost.authres.write import format_value
from gatepost.config.dkim_settings import DkimSign
from gatepost.dkim.keys.sources import KeySources
from gatepost.dkim.sign import DEFAULT_HEADERS, DEFAULT_OVERSIGN, Signing, SigningPolicy
from gatepost.dkim.signature import SignatureError, parse_signature
from gatepost.dkim.signing_key import KeyUnavailableError, SigningKey
from gatepost.hosts import HostList
from gatepost.log import Logger
from gatepost.message import Envelope, Message
from gatepost.metrics import Metrics
from gatepost.networks import Networks
from milters.handler import Change, DeleteHeader, Disposition, Examination, InsertHeader, Needs, Step, Verdict
from milters.replies import Ignored, refusal

_SIGNATURE = b"DKIM-Signature"
_COMPLAIN_EVERY = 60.0
"""Seconds between two looks for key files that changed into something that is no key."""


@dataclass(slots=True)
class Tools:
    """What the daemon works with. ``clock`` gives the time in seconds since 1970."""

    authserv_id: str
    trusted: Networks
    keys: KeySources
    log: Logger
    metrics: Metrics
    clock: Callable[[], float] = field(default=time.time)


class DkimSignHandler:
    """The daemon."""

    def __init__(self, name: str, settings: DkimSign, tools: Tools) -> None:
        self.name = name
        self.settings = settings
        self.tools = tools
        self.policy = SigningPolicy(
            header_canonicalization=settings.canonicalization.header,
            body_canonicalization=settings.canonicalization.body,
            headers=DEFAULT_HEADERS if settings.headers is None else ("From", *settings.headers),
            oversign=DEFAULT_OVERSIGN if settings.oversign is None else tuple(settings.oversign),
            ttl=settings.signature_ttl,
        )
        self.never_sign_to = frozenset(entry.lower() for entry in settings.never_sign_to)
        self._ignored = HostList(settings.ignore_hosts)
        self._origins = [_origin(entry) for entry in settings.sign_for]
        self._complained: dict[str, None] = {}
        self._complain_at = 0.0
        self.needs = self._needs()

    def _needs(self) -> Needs:
        steps = Step.CONNECT | Step.MAIL | Step.HEADERS | Step.BODY
        if self.never_sign_to:
            steps |= Step.RCPT
        asked = tuple(_braced(name) for name in dict.fromkeys(name for name, _ in self._origins))
        macros = {
            "connect": ("{daemon_name}", *asked),
            "mail": ("{auth_authen}", *asked),
            "eom": ("i",),
        }
        return Needs(steps=steps, macros=macros)

    def examine(self, message: Message) -> Examination:
        """Begin with a message: whether it is signed, and with which keys."""
        envelope = message.envelope
        if self._ignored and self._ignored.matches(envelope.client_name, envelope.client_address):
            return Ignored(message, self.tools.log, self.tools.metrics)
        now = self.tools.clock()
        if now >= self._complain_at:
            self._complain_at = now + _COMPLAIN_EVERY
            self._complain()
        return SigningExamination(self, message)

    def _complain(self) -> None:
        """Say, once, of each key file that changed into no key: its former key goes on signing."""
        refused = dict.fromkeys(map(str, self.tools.keys.refused_changes()))
        for problem in refused.keys() - self._complained.keys():
            self.tools.log.event(
                "error", "changed key file refused, its former key is still in use", problem=problem
            )
        self._complained = refused

    def origin(self, envelope: Envelope) -> str:
        """Which rule makes this client one of ours; "" where none does."""
        if envelope.login:
            return "login"
        if envelope.client_address in self.tools.trusted:
            return "trusted network"
        macros = envelope.macros
        for name, value in self._origins:
            if value is None and macros.get("daemon_name") == name:
                return f"daemon_name={name}"
            found = macros.get(name)
            if found if value is None else found == value:
                return f"{name}={found}"
        return ""


def _origin(entry: str) -> tuple[str, str | None]:
    """An entry of ``sign_for`` as macro name and wanted value; None where any value will do."""
    name, equals, value = entry.partition("=")
    return name.strip().strip("{}"), value.strip() if equals else None


def _braced(name: str) -> str:
    return name if len(name) == 1 else f"{{{name}}}"


class _NotSigned(Exception):  # noqa: N818
    """Why a message goes on without a signature; no fault of anybody's."""


class SigningExamination:
    """One message on its way through the daemon.

    ``keys`` are those that sign, or would. ``reason`` is why the message is not
    signed though nothing is wrong, ``failure`` why it cannot be; "" otherwise.
    ``mailbox`` is the sender that was looked at last.
    """

    def __init__(self, daemon: DkimSignHandler, message: Message) -> None:
        self._daemon = daemon
        self._tools = daemon.tools
        self._message = message
        self.keys: Sequence[SigningKey] = ()
        self._signing: Signing | None = None
        self.reason = self.failure = ""
        self._origin = daemon.origin(message.envelope)
        self.mailbox: Mailbox | None = None
        try:
            self._begin()
        except _NotSigned as reason:
            self.reason = str(reason)
        except KeyUnavailableError as error:
            self.failure = str(error)

    def _begin(self) -> None:
        """Find out whether and how to sign. Raises _NotSigned or KeyUnavailableError with the reason."""
        message, daemon = self._message, self._daemon
        if not self._origin:
            raise _NotSigned("client has no login, is in no trusted network, and no sign_for rule fits")
        if daemon.never_sign_to and _all_in(message.envelope.recipients, daemon.never_sign_to):
            raise _NotSigned("all recipients are in never_sign_to")
        if message.oversized:
            raise KeyUnavailableError(message.oversized)
        self.keys = self._keys_of_sender()
        if daemon.settings.existing_signature == "skip":
            signers = _signing_domains(message)
            self.keys = [key for key in self.keys if key.domain not in signers]
            if not self.keys:
                raise _NotSigned("the sender's domain has signed it already (existing_signature: skip)")
        headers, places = message.headers, None
        if daemon.settings.remove_old_signatures:
            headers = [header for header in headers if header.name.lower() != _SIGNATURE.lower()]
        else:
            places = message.places
        self._signing = Signing(headers, self.keys, daemon.policy, self._tools.clock(), places)

    def _keys_of_sender(self) -> Sequence[SigningKey]:
        """The keys of the first sender field that has any."""
        reasons = []
        if not self._message.values(b"from"):
            raise _NotSigned("no From field")
        for header in self._daemon.settings.sender_headers:
            values = self._message.values(header.lower().encode("ascii"))
            if not values:
                continue
            try:
                mailbox = authors(values)[0]
            except AddressError as error:
                reasons.append(f"{header.title()}: {error}")
                continue
            self.mailbox = mailbox
            keys = self._tools.keys.find(mailbox.local_part, mailbox.domain)
            if keys:
                return keys
            reasons.append(self._tools.keys.explain(mailbox.local_part, mailbox.domain))
        raise _NotSigned("; ".join(reasons) or "no sender field")

    def body(self, chunk: bytes) -> bool:
        """Hash the next octets, where a signature is to be made."""
        if self._signing is None:
            return False
        self._signing.body(chunk)
        return True

    def cancel(self) -> None:
        """Nothing is under way."""

    def finish(self) -> Verdict:
        """Sign, or say why not."""
        if self.failure:
            action = self._daemon.settings.on_signing_error
            self._tools.metrics.error("signing")
            return self._told(refusal(action, "7.5", "Message cannot be signed now"))
        if self._signing is None:
            return self._told(Verdict())
        changes: list[Change] = []
        if self._daemon.settings.remove_old_signatures:
            count = len(self._message.values(_SIGNATURE.lower()))
            changes += [DeleteHeader(_SIGNATURE, index) for index in range(1, count + 1)]
        if self._daemon.settings.authentication_results:
            value = format_value(self._tools.authserv_id, [Result("dkim", "none", comment="signed here")])
            changes.append(InsertHeader(FIELD_NAME, value.encode("utf-8")))
        changes += [InsertHeader(_SIGNATURE, value) for value in self._signing.fields()]
        return self._told(Verdict(changes=changes))

    def _told(self, verdict: Verdict) -> Verdict:
        """Count the verdict, write the message's line, and pass the verdict on."""
        envelope = self._message.envelope
        action = verdict.disposition.value
        signed = (
            [f"{key.domain}/{key.selector}/{key.algorithm}" for key in self.keys] if self._signing else "no"
        )
        self._tools.metrics.verdict(action).inc()
        self._tools.metrics.result("sign", "signed" if self._signing else "unsigned").inc()
        self._tools.log.message(
            envelope.queue_id,
            client=envelope.client_address,
            origin=self._origin or "outside",
            sender=self.mailbox.domain if self.mailbox else "",
            signed=signed,
            reason=self.failure or self.reason or None,
            action=None if verdict.disposition is Disposition.ACCEPT else action,
        )
        return verdict


def _all_in(recipients: Iterable[bytes], entries: frozenset[str]) -> bool:
    """Whether every recipient, or its domain, is among *entries* (lower case)."""
    addresses = [recipient.decode("utf-8", "replace").lower() for recipient in recipients]
    return bool(addresses) and all(
        address in entries or address.rpartition("@")[2] in entries for address in addresses
    )


def _signing_domains(message: Message) -> set[str]:
    """The d= of the signatures that the message brings."""
    domains = set()
    for value in message.values(_SIGNATURE.lower())[:100]:
        try:
            domains.add(parse_signature(value).domain)
        except SignatureError as error:
            domains.add(error.domain)
    return domains
