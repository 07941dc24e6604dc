"""dkim-verify: verifies every DKIM signature of incoming mail and writes what it found on top of the message.

It is also the guard at the border: Authentication-Results fields under our
name that we did not write are removed, whoever brings them.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from gatepost.address import AddressError, authors
from gatepost.authres.border import FIELD_NAME, Border
from gatepost.authres.seal import Sealer, message_subject
from gatepost.authres.write import format_value
from gatepost.config.dkim_settings import DkimVerify
from gatepost.dkim.report import authres_results, brief
from gatepost.dkim.result import Cause, SignatureResult
from gatepost.dkim.result import Verdict as DkimVerdict
from gatepost.dkim.verifier import SignatureCheck, Verifier
from gatepost.dkim.verify import Policy
from gatepost.header_count import count_problem
from gatepost.hosts import HostList
from gatepost.log import Logger
from gatepost.message import Message
from gatepost.metrics import Metrics
from gatepost.networks import Networks
from gatepost.postfix.version import miscounts_headers
from milters.claims import kept_and_removed
from milters.handler import (
    Change,
    Disposition,
    Examination,
    InsertHeader,
    Needs,
    Step,
    Verdict,
)
from milters.replies import HEADER_TOO_LARGE, Ignored, refusal

_OLD_POSTFIX = (
    "this Postfix removes the wrong header field after a policy service's PREPEND;"
    " update it to 3.5.25, 3.6.15, 3.7.11, 3.8.6 or later"
)


@dataclass(slots=True)
class Tools:
    """What the daemon works with; everything that touches the outside is passed in here.

    ``removes_seals`` says that nobody of us but this daemon itself, inside,
    reads the results. ``clock`` gives the time in seconds since 1970.
    """

    authserv_id: str
    trusted: Networks
    border: Border
    sealer: Sealer
    removes_seals: bool
    verifier: Verifier
    log: Logger
    metrics: Metrics
    clock: Callable[[], float] = field(default=time.time)


def policy_of(settings: DkimVerify, is_public_suffix: Callable[[str], bool]) -> Policy:
    """What the options make of the verifier's policy."""
    return Policy(
        max_signatures=settings.max_signatures,
        min_rsa_bits=settings.min_rsa_bits,
        clock_drift=settings.clock_drift,
        accept_partial_body=settings.partial_body == "accept",
        must_be_signed=tuple(name.lower().encode("ascii") for name in settings.must_be_signed),
        is_public_suffix=is_public_suffix,
    )


class DkimVerifyHandler:
    """The daemon."""

    needs = Needs(
        steps=Step.CONNECT | Step.HELO | Step.MAIL | Step.HEADERS | Step.BODY,
        macros={"connect": ("v",), "mail": ("{auth_authen}",), "eom": ("i",)},
        quarantines=True,
    )

    def __init__(self, name: str, settings: DkimVerify, tools: Tools) -> None:
        self.name = name
        self.settings = settings
        self.tools = tools
        self._ignored = HostList(settings.ignore_hosts)
        self._version = ""
        self._warned = False

    def examine(self, message: Message) -> Examination:
        """Begin with a message: which fields are forged, and which keys are needed."""
        envelope = message.envelope
        if self._ignored and self._ignored.matches(envelope.client_name, envelope.client_address):
            return Ignored(message, self.tools.log, self.tools.metrics)
        version = envelope.macros.get("v", "")
        if version != self._version:
            self._look_at(version)
        return _Verifying(self, message)

    def _look_at(self, version: str) -> None:
        """Warn, once, of a Postfix that removes other fields than it is told to."""
        self._version = version
        if not self._warned and miscounts_headers(version):
            self._warned = True
            self.tools.log.event("warning", _OLD_POSTFIX, version=version)


class _Verifying:
    """One message on its way through the daemon."""

    def __init__(self, daemon: DkimVerifyHandler, message: Message) -> None:
        self._daemon = daemon
        self._tools = tools = daemon.tools
        self._message = message
        self._now = tools.clock()
        self._author: str | None = None
        envelope = message.envelope
        # A login does not make its sender one of us: what a user brings under our name is forged.
        inside = not envelope.login and envelope.client_address in tools.trusted
        self._inside = inside
        self._claims = tools.border.claims(message, inside, self._now)
        self._skipped = self._why_not(local=inside or bool(envelope.login))
        self._check: SignatureCheck | None = None
        if not self._skipped:
            self._check = tools.verifier.check(message.headers, self._now, message.places)

    def _why_not(self, local: bool) -> str:
        """Why the signatures of this message are not looked at; "" where they are."""
        if self._message.oversized:
            return self._message.oversized
        if local and not self._daemon.settings.verify_local:
            return "from one of us"
        if any(result.method == "dkim" for claim in self._claims for result in claim.results()):
            return "verified before"
        return ""

    def body(self, chunk: bytes) -> bool:
        if self._check is None or not self._check.needs_body:
            return False
        self._check.body(chunk)
        return True

    def finish(self) -> Verdict | Awaitable[Verdict]:
        if self._message.oversized:
            return self._told(HEADER_TOO_LARGE, ())
        if self._check is None:
            return self._told(Verdict(changes=self._kept_and_removed()), ())
        results = self._check.results()
        return self._conclude(results) if isinstance(results, list) else self._conclude_later(results)

    def cancel(self) -> None:
        if self._check is not None:
            self._check.cancel()

    async def _conclude_later(self, results: Awaitable[list[SignatureResult]]) -> Verdict:
        return self._conclude(await results)

    def _conclude(self, found: list[SignatureResult]) -> Verdict:
        changes = self._kept_and_removed()
        results = self._weighed(found)
        if results or self._daemon.settings.ar_for_unsigned:
            changes.append(InsertHeader(FIELD_NAME, self._field(results)))
        return self._told(self._disposition(results).with_changes(changes), results)

    def _kept_and_removed(self) -> list[Change]:
        # At the border the message may still come by here again, from a content filter.
        removes_seals = self._tools.removes_seals and self._inside
        return kept_and_removed(self._claims, removes_seals, self._tools.metrics)

    def _weighed(self, results: list[SignatureResult]) -> list[SignatureResult]:
        """The results as they are reported: with the message's other faults, and in order."""
        if problem := self._count_problem("policy"):
            results = [_not_acceptable(result, problem) for result in results]
        if len(results) > 1:
            # RFC 6376 §6.1 leaves the order to us: the author's own signatures come first.
            results.sort(key=lambda result: result.domain != self._author_domain)
        count = self._tools.metrics.result
        for result in results:
            count("dkim", result.verdict).inc()
        if not results:
            count("dkim", DkimVerdict.NONE).inc()
        return results

    def _count_problem(self, answer: str) -> str:
        """The rule of how many fields there may be that the header breaks, if *answer* is what that is met with."""
        return (
            count_problem(self._message.headers) if self._daemon.settings.required_headers == answer else ""
        )

    @property
    def _author_domain(self) -> str:
        """The author's domain, "" for none. Found out when it is first asked for: not all that is shown is read."""
        if self._author is None:
            try:
                self._author = authors(self._message.values(b"from"))[0].domain
            except AddressError:
                self._author = ""
        return self._author

    def _field(self, results: Sequence[SignatureResult]) -> bytes:
        tools = self._tools
        value = format_value(tools.authserv_id, authres_results(results))
        if self._daemon.settings.seal:
            subject = message_subject(self._message.headers, self._message.places)
            value = tools.sealer.seal(value, subject, self._now)
        return value.encode("utf-8")

    def _disposition(self, results: Sequence[SignatureResult]) -> Verdict:
        """What the operator's ``on_…`` options make of the results (RFC 7372 §3.1 for the codes)."""
        settings = self._daemon.settings
        if problem := self._count_problem("reject"):
            return refusal("reject", "6.0", f"Message breaks RFC 5322 section 3.6: {problem}")
        if any(result.verdict is DkimVerdict.PASS for result in results):
            return Verdict()
        if not results:
            return refusal(settings.on_no_signature, "7.20", "No DKIM signature found")
        # RFC 6376 §3.6.1: a message under a key in testing is treated as any unsigned one.
        telling = [result.cause for result in results if not result.testing]
        if not telling:
            return Verdict()
        # A later attempt may find the key that makes all well.
        cause = Cause.DNS if Cause.DNS in telling else telling[0]
        if cause is Cause.DNS:
            return refusal(settings.on_temperror, "7.20", "DKIM key lookup failed")
        if cause is Cause.KEY_NOT_FOUND:
            return refusal(settings.on_key_not_found, "7.20", "No key found for the DKIM signature")
        if cause is Cause.MALFORMED:
            return refusal(settings.on_permerror, "7.20", "Malformed DKIM signature or key")
        if cause is Cause.SECURITY:
            return refusal(settings.on_security, "7.21", "No acceptable DKIM signature found")
        return refusal(settings.on_fail, "7.20", "No passing DKIM signature found")

    def _told(self, verdict: Verdict, results: Sequence[SignatureResult]) -> Verdict:
        """Count the verdict, write the message's line, and pass the verdict on."""
        envelope = self._message.envelope
        action = verdict.disposition.value
        self._tools.metrics.verdict(action).inc()
        beyond = self._check.count - len(results) if self._check else 0
        self._tools.log.message(
            envelope.queue_id,
            client=envelope.client_address,
            author=self._author_domain,
            dkim="skipped" if self._skipped else [brief(result) for result in results] or "none",
            reason=self._skipped or None,
            signatures_ignored=beyond or None,
            fields_removed=sum(not claim.believed for claim in self._claims) or None,
            action=None if verdict.disposition is Disposition.ACCEPT else action,
        )
        return verdict


def _not_acceptable(result: SignatureResult, problem: str) -> SignatureResult:
    """A pass that the message's other faults spoil."""
    if result.verdict is not DkimVerdict.PASS:
        return result
    return result._replace(verdict=DkimVerdict.POLICY, cause=Cause.SECURITY, reason=problem)
