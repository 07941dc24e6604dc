"""SPF and DKIM of one message for DMARC: as our fields tell it, and checked here where they do not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from functools import partial

from gatepost.authres.result import Property, Result
from gatepost.dkim.report import authres_results, brief
from gatepost.dkim.result import SignatureResult
from gatepost.dkim.verifier import SignatureCheck, Verifier
from gatepost.dmarc.evidence import Evidence, Finding
from gatepost.later import Later
from gatepost.message import Message
from gatepost.spf.check import Check
from gatepost.spf.result import Identity, SpfResult


class Checks:
    """What is known of a message's SPF and DKIM.

    *evidence* is what the fields say that we believe; *verifier* checks what
    they leave open, once ``begin`` is called. ``spf`` (None: nobody has
    checked) and ``dkim`` are complete when ``finish`` has come to its end.
    """

    def __init__(self, evidence: Evidence, verifier: Verifier) -> None:
        self._evidence = evidence
        self._verifier = verifier
        self._signatures: SignatureCheck | None = None
        self._found: Sequence[SignatureResult] = ()
        self._spf: SpfResult | None = None
        self._spf_asked: asyncio.Task[SpfResult] | None = None
        self.spf: Finding | None = evidence.spf
        self.dkim: Sequence[Finding] = evidence.dkim or ()

    def begin(self, message: Message, now: float, *, sees_client: bool) -> None:
        """Begin with what nobody has checked: DKIM by the message itself, SPF where the client is to be seen.

        *now* is in seconds since 1970.
        """
        # Each has a budget of its own: a failure would become a temporary error where a stranger's signatures
        # could use up SPF's questions, or his MAIL FROM those about keys.
        if self._evidence.dkim is None:
            self._signatures = self._verifier.check(message.headers, now, message.places)
        if self._evidence.spf is None and sees_client:
            envelope = message.envelope
            check = Check(
                self._verifier.resolver,
                self._verifier.new_budget(),
                envelope.client_address,
                envelope.helo,
                envelope.mail_from,
            )
            self._spf = check.now()
            if self._spf is None:
                self._spf_asked = asyncio.create_task(check.finish())

    def body(self, chunk: bytes) -> bool:
        """Take the next octets of the body, cut anywhere. False: no more of them are needed."""
        if self._signatures is None or not self._signatures.needs_body:
            return False
        self._signatures.body(chunk)
        return True

    def cancel(self) -> None:
        """The message is gone."""
        if self._signatures is not None:
            self._signatures.cancel()
        if self._spf_asked is not None:
            self._spf_asked.cancel()

    def finish(self) -> Awaitable[None] | None:
        """Judge, at the end of the body: None where all is known, else what to await until it is."""
        found = self._signatures.results() if self._signatures is not None else []
        if self._spf_asked is not None or not isinstance(found, list):
            return Later(partial(self._finish_later, found))
        self._settle(found)
        return None

    async def _finish_later(self, found: list[SignatureResult] | Awaitable[list[SignatureResult]]) -> None:
        if not isinstance(found, list):
            found = await found
        if self._spf_asked is not None:
            self._spf = await self._spf_asked
        self._settle(found)

    def _settle(self, found: list[SignatureResult]) -> None:
        if self._signatures is not None:
            self._found = found
            self.dkim = [Finding(item.verdict, item.domain, item.selector) for item in found if item.domain]
        if self._spf is not None:
            self.spf = Finding(self._spf.verdict, self._spf.domain)

    def results(self) -> list[Result]:
        """What was checked here, for our field."""
        results = []
        if self._spf is not None:
            name = "mailfrom" if self._spf.identity is Identity.MAIL_FROM else "helo"
            domain = (Property("smtp", name, self._spf.domain),) if self._spf.domain else ()
            results.append(Result("spf", self._spf.verdict, domain))
        if self._signatures is not None:
            results += authres_results(self._found)
        return results

    def brief_dkim(self) -> list[str]:
        """DKIM for the log: a word a signature."""
        if self._found:
            return [brief(result) for result in self._found]
        return [f"{finding.result}:{finding.domain}" for finding in self._evidence.dkim or ()]
