"""What becomes of a message after its DMARC evaluation: the owner's policy, and the operator's say in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gatepost.config.dmarc_settings import Dmarc
from gatepost.dmarc.evaluate import Evaluation, Verdict
from gatepost.dmarc.record import Policy
from gatepost.message import Message
from milters import handler
from milters.handler import InsertHeader
from milters.replies import refusal

QUARANTINE_FIELD = b"X-DMARC-Quarantine"
_PASSED_ON = handler.Verdict()


@dataclass(frozen=True, slots=True)
class Action:
    """What is done with a message.

    ``disposition`` is none, quarantine or reject, as reports tell it;
    ``override`` is RFC 9990's word for why it is not the policy's, "" for none.
    """

    verdict: handler.Verdict = _PASSED_ON
    disposition: str = "none"
    override: str = ""


def decide(evaluation: Evaluation, settings: Dmarc, message: Message, forwarded: bool) -> Action:
    """The action for an evaluated message. Mode stamp never changes what becomes of it.

    *forwarded* says that it comes from one of ``trusted_forwarders``.
    """
    if settings.mode == "stamp":
        return Action()
    if evaluation.verdict is Verdict.TEMPERROR and settings.on_temperror == "tempfail":
        text = f"DMARC policy of {evaluation.domain} cannot be evaluated now"
        return Action(refusal("tempfail", "7.1", text), "reject")
    if evaluation.verdict is Verdict.PERMERROR and settings.bad_from == "reject":
        return Action(refusal("reject", "7.1", "The From field does not name exactly one author"), "reject")
    if evaluation.verdict is not Verdict.FAIL or evaluation.applied is Policy.NONE:
        return Action()
    if evaluation.applied is Policy.QUARANTINE:
        return _act(settings.on_quarantine, evaluation)
    indirect = _indirect(message, forwarded)
    action = _act(settings.indirect_mail if indirect else settings.on_reject, evaluation)
    return replace(action, override=indirect) if indirect and action.disposition != "reject" else action


def _act(choice: str, evaluation: Evaluation) -> Action:
    """Do what an ``on_…`` option says; it overrides where that is not what the owner asks for."""
    domain = evaluation.domain
    disposition = {"accept": "none", "header": "quarantine"}.get(choice, choice)
    override = "" if disposition == evaluation.applied else "local_policy"
    if choice == "header":
        field = InsertHeader(QUARANTINE_FIELD, f"DMARC policy of {domain}".encode())
        return Action(handler.Verdict(changes=[field]), disposition, override)
    if choice == "quarantine":
        return Action(refusal(choice, "7.1", f"DMARC policy of {domain}"), disposition, override)
    # §7.2: the reply says that it is DMARC, and whose.
    return Action(
        refusal(choice, "7.1", f"Email rejected per DMARC policy for {domain}"), disposition, override
    )


def _indirect(message: Message, forwarded: bool) -> str:
    """RFC 9990's word for why a failure proves little here (RFC 9989 §7.4); "" for no reason."""
    if message.values(b"list-id") and message.values(b"list-post"):
        return "mailing_list"
    return "trusted_forwarder" if forwarded else ""
