"""What becomes of a message, given its SPF results: the operator's rules, and no more than these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gatepost.config.reason import Reason
from gatepost.config.spf_settings import HeloReject, MailFromReject, Override, Spf
from gatepost.spf.report import explanation
from gatepost.spf.result import Identity, SpfResult, Verdict, safe

_REFUSED: Mapping[str, frozenset[Verdict]] = {
    "fail": frozenset({Verdict.FAIL}),
    "softfail": frozenset({Verdict.FAIL, Verdict.SOFTFAIL}),
    "not_pass": frozenset({Verdict.FAIL, Verdict.SOFTFAIL, Verdict.NEUTRAL, Verdict.PERMERROR}),
    "null_sender": frozenset({Verdict.FAIL}),
    "never": frozenset(),
    "no_check": frozenset(),
}
_NO_MAIL = "v=spf1 -all"
_MAX_TEXT = 450
"""Characters of a finished text: a reply line has 512 octets (RFC 5321 §4.5.3.1.5)."""

_NAMES = {Identity.HELO: "HELO", Identity.MAIL_FROM: "MAIL FROM"}


@dataclass(frozen=True, slots=True)
class Results:
    """The checks of one message: None for what was not checked. With a null sender there is only HELO."""

    client: str
    helo_said: str
    sender_said: str
    helo: SpfResult | None
    mail_from: SpfResult | None

    @property
    def null_sender(self) -> bool:
        """Whether MAIL FROM was empty."""
        return not self.sender_said

    @property
    def sender(self) -> SpfResult | None:
        """The result that stands for the sender (RFC 7208 §2.4)."""
        return self.helo if self.null_sender else self.mail_from


@dataclass(frozen=True, slots=True)
class Refusal:
    """Refuse the recipient, or ask for it again later: ``action`` is for Postfix (access(5))."""

    action: str
    temporary: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules for one recipient; the options of the same names say what each means."""

    helo_reject: HeloReject
    mail_from_reject: MailFromReject
    reject_only_no_mail: bool
    permerror_reject: bool
    temperror_defer: bool
    reason: Reason
    dry_run: bool

    def refusal(self, results: Results) -> Refusal | None:
        """Why the message is refused, HELO before MAIL FROM; None where it is not."""
        helo_counts = self.helo_reject != "null_sender" or results.null_sender
        if results.helo is not None and helo_counts and self._refuses(results.helo, self.helo_reject):
            return self._refused(results.helo, results)
        if results.mail_from is not None and self._refuses(results.mail_from, self.mail_from_reject):
            return self._refused(results.mail_from, results)
        sender = results.sender
        if sender is None:
            return None
        if self.permerror_reject and sender.verdict is Verdict.PERMERROR:
            return self._refused(sender, results)
        if self.temperror_defer and sender.verdict is Verdict.TEMPERROR:
            return Refusal(f"451 4.7.24 {self._text(sender, results)}", temporary=True)
        return None

    def _refuses(self, result: SpfResult, which: str) -> bool:
        return result.verdict in _REFUSED[which] and (
            not self.reject_only_no_mail or result.record.strip().lower() == _NO_MAIL
        )

    def _refused(self, result: SpfResult, results: Results) -> Refusal:
        # RFC 7372 §3.2: X.7.23 where SPF says no, X.7.24 where it could not be evaluated.
        code = "5.7.24" if result.verdict is Verdict.PERMERROR else "5.7.23"
        return Refusal(f"550 {code} {self._text(result, results)}")

    def _text(self, result: SpfResult, results: Results) -> str:
        text = self.reason.fill(
            {
                "domain": result.domain,
                "explanation": explanation(result, results.client),
                "helo": results.helo_said,
                "identity": _NAMES[result.identity],
                "ip": results.client,
                "result": result.verdict.value,
                "sender": results.sender_said,
            }
        )
        return safe(text, _MAX_TEXT)


class RuleBook:
    """The rules for everybody, and those for single recipients.

    *dmarc_enforces* says that a DMARC daemon refuses mail too: it knows the
    DKIM result, so by default SPF alone then refuses nothing.
    """

    def __init__(self, settings: Spf, dmarc_enforces: bool = False) -> None:
        default: MailFromReject = "never" if dmarc_enforces else "fail"
        self.general = Rules(
            helo_reject=settings.helo_reject or default,
            mail_from_reject=settings.mail_from_reject or default,
            reject_only_no_mail=settings.reject_only_no_mail,
            permerror_reject=settings.permerror_reject,
            temperror_defer=settings.temperror_defer,
            reason=settings.reason,
            dry_run=settings.dry_run,
        )
        self._special = {
            recipient: _overridden(self.general, override)
            for recipient, override in settings.overrides.items()
        }

    @property
    def checks_helo(self) -> bool:
        """Whether HELO is to be checked at all."""
        return self.general.helo_reject != "no_check"

    @property
    def checks_mail_from(self) -> bool:
        """Whether MAIL FROM is to be checked at all."""
        return self.general.mail_from_reject != "no_check"

    def rules_for(self, recipient: str) -> Rules:
        """The rules for *recipient*: its own, those of its domain, or everybody's."""
        if not self._special:
            return self.general
        address = recipient.lower()
        return self._special.get(address) or self._special.get(address.rpartition("@")[2]) or self.general


def _overridden(rules: Rules, override: Override) -> Rules:
    def either(name: str) -> object:
        value = getattr(override, name)
        return getattr(rules, name) if value is None else value

    return Rules(**{name: either(name) for name in Rules.__slots__})  # type: ignore[arg-type]
