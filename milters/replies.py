"""Verdicts that several milter daemons give (RFC 7372, RFC 3463 for the codes)."""

from __future__ import annotations

from gatepost.log import Logger
from gatepost.message import Message
from gatepost.metrics import Metrics
from milters.handler import Disposition, Reply, Verdict

HEADER_TOO_LARGE = Verdict(
    Disposition.REJECT, reply=Reply(552, "5.3.4", "Message header exceeds what this server can check")
)
"""For a header beyond the limits: fields that nobody has looked at must not go on under our name."""


def refusal(action: str, enhanced: str, text: str) -> Verdict:
    """What an ``on_…`` option means: accept, tempfail, reject, quarantine or discard.

    *enhanced* is the enhanced status code without its class ("7.20"), *text*
    goes into the reply, or to the hold queue as the reason.
    """
    if action == "reject":
        return Verdict(Disposition.REJECT, reply=Reply(550, f"5.{enhanced}", text))
    if action == "tempfail":
        return Verdict(Disposition.TEMPFAIL, reply=Reply(451, f"4.{enhanced}", text))
    return Verdict(Disposition(action), reason=text if action == "quarantine" else "")


class Ignored:
    """The examination of a message from a client in ``ignore_hosts``: not even its forged fields are touched."""

    def __init__(self, message: Message, log: Logger, metrics: Metrics) -> None:
        self._message, self._log, self._metrics = message, log, metrics

    def body(self, chunk: bytes) -> bool:
        """No body is needed."""
        return False

    def finish(self) -> Verdict:
        """Let it go on as it is."""
        envelope = self._message.envelope
        self._metrics.verdict("accept").inc()
        self._log.message(envelope.queue_id, client=envelope.client_address, reason="client in ignore_hosts")
        return Verdict()

    def cancel(self) -> None:
        """Nothing is under way."""
