"""The options of the SPF policy service."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal

from pydantic import Field, PlainValidator

from gatepost.config.reason import PLACEHOLDERS, Reason
from gatepost.config.sections import Daemon, Section
from gatepost.config.types import Domain, Network
from gatepost.config.words import listed, quoted
from gatepost.domains import InvalidNameError, to_ascii

HeloReject = Literal["fail", "softfail", "not_pass", "null_sender", "never", "no_check"]
MailFromReject = Literal["fail", "softfail", "not_pass", "never", "no_check"]


def _parse_reason(value: object) -> Reason:
    if isinstance(value, Reason):
        return value
    if not isinstance(value, str):
        raise ValueError("expected a text such as 'SPF {result}: {explanation}'")
    try:
        return Reason(value)
    except ValueError as error:
        raise ValueError(f"{error}; placeholders are {listed(PLACEHOLDERS, 'and')}") from None


def _parse_recipient(value: object) -> str:
    """Read ``user@domain`` or ``domain``, and give it in lower case with A-labels."""
    expected = "expected a recipient such as anna@example.nl, or a domain such as example.nl"
    if not isinstance(value, str):
        raise ValueError(expected)
    local_part, at, domain = value.strip().rpartition("@")
    try:
        if at and not local_part:
            raise ValueError(f"{expected}, not {quoted(value)}")
        return f"{local_part.lower()}{at}{to_ascii(domain)}"
    except InvalidNameError:
        raise ValueError(f"{expected}, not {quoted(value)}") from None


class Allow(Section):
    """``allow:``, clients that are never refused. Their mail is checked and marked as all other is."""

    addresses: list[Network] = []
    """Addresses and networks."""
    helo: list[Domain] = []
    """What a client calls itself, if that name has the client's address."""
    domains: list[Domain] = []
    """Domains whose own SPF record passes the client, whatever the sender: forwarders, mailing list
    services."""
    ptr: list[Domain] = []
    """Domains that the client's host name is in, as far as Postfix has confirmed the name."""


class Override(Section):
    """One entry of ``overrides:``. What is not given is as for everybody."""

    helo_reject: HeloReject | None = None
    mail_from_reject: MailFromReject | None = None
    reject_only_no_mail: bool | None = None
    permerror_reject: bool | None = None
    temperror_defer: bool | None = None
    dry_run: bool | None = None
    reason: Annotated[Reason, PlainValidator(_parse_reason)] | None = None


class Spf(Daemon):
    """``kind: spf``, a policy service that checks HELO and MAIL FROM by SPF (RFC 7208)."""

    kind: Literal["spf"] = "spf"
    on_internal_error: Literal["accept", "tempfail"] = "accept"
    """What becomes of a message when something breaks in the daemon itself."""
    helo_reject: HeloReject | None = None
    """Which results of HELO are refused: ``fail``; ``softfail`` (and fail); ``not_pass`` (fail, softfail,
    neutral, permerror); ``null_sender`` (fail, where MAIL FROM is empty); ``never``; ``no_check`` does not
    even check. None given: ``fail``, or ``never`` where a dmarc daemon enforces, for that knows the DKIM
    result too."""
    mail_from_reject: MailFromReject | None = None
    """The same for MAIL FROM. The null sender has none: there HELO is what counts (RFC 7208 §2.4)."""
    reject_only_no_mail: bool = False
    """Of all that, refuse only what comes from domains that send no mail at all (``v=spf1 -all``)."""
    permerror_reject: bool = False
    """Refuse mail from domains whose record is in error."""
    temperror_defer: bool = False
    """Ask the client to come again while the sender's record cannot be looked up."""
    skip_addresses: list[Network] = [IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")]
    """Clients that are not checked, beside ``trusted_networks`` and SASL users, who never are."""
    allow: Allow = Allow()
    """Who is never refused."""
    header: Literal["a-r", "received-spf", "both", "none"] = "a-r"
    """What is written on top of the message: ``a-r`` is Authentication-Results, with both identities.
    Postfix takes one field an answer. With ``both``, Received-SPF goes with the message's next request:
    another recipient, or DATA, where the service stands in smtpd_data_restrictions too."""
    hide_receiver: bool = False
    """Leave our own name out of Received-SPF and explanations."""
    overrides: dict[Annotated[str, PlainValidator(_parse_recipient)], Override] = {}
    """Other rules for a recipient, or all of a domain: ``user@domain`` or ``domain`` as the key. The message
    is checked once; an override can only act otherwise on the results."""
    reason: Annotated[Reason, PlainValidator(_parse_reason)] = Field(
        default=Reason("SPF {result} for {identity}: {explanation}")
    )
    """The text of a refusal, in printable ASCII, with {domain}, {explanation}, {helo}, {identity}, {ip},
    {result} and {sender}. {explanation} is the domain's own, or else ours."""
    dry_run: bool = False
    """Check, write fields and log what would have been refused, but refuse nothing."""
