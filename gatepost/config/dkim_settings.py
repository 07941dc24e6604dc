"""The options of dkim-verify and dkim-sign."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gatepost.config.sections import Daemon, Section
from gatepost.config.types import Canonicalization, Domain, Duration, DurationOrZero, FieldName, FilePath

Action = Literal["accept", "tempfail", "reject", "quarantine", "discard"]


class DkimVerify(Daemon):
    """``kind: dkim-verify``, verifies signatures and says so in Authentication-Results."""

    kind: Literal["dkim-verify"] = "dkim-verify"
    verify_local: bool = False
    """Verify also what comes from trusted networks and from SASL users (needed behind
    ``smtpd_proxy_filter``)."""
    ar_for_unsigned: bool = True
    """Write ``dkim=none`` for a message without a signature."""
    seal: bool = True
    """Seal the results, so that our daemons behind a content filter know them for ours. A server without a
    content filter and without DMARC daemons has no use for it."""
    max_signatures: Annotated[int, Field(ge=1, le=100)] = 10
    """Signatures looked at per message, from the top; the rest is counted and left alone."""
    min_rsa_bits: Annotated[int, Field(ge=512, le=8192)] = 1024
    """Shorter RSA keys give ``policy`` (RFC 8301 §3.2)."""
    clock_drift: DurationOrZero = 300.0
    """How far a signer's clock may be off (t= and x=)."""
    partial_body: Literal["policy", "accept"] = "policy"
    """What a signature is worth whose l= leaves part of the body unsigned."""
    must_be_signed: list[FieldName] = ["from"]
    """Header fields that h= has to name where the message has them; otherwise ``pass`` becomes ``policy``."""
    required_headers: Literal["ignore", "policy", "reject"] = "ignore"
    """What to do with a message that breaks RFC 5322 §3.6: no From or Date, or two of a field that may stand
    once."""
    on_fail: Action = "accept"
    """What becomes of a message with a signature and none that passes."""
    on_no_signature: Action = "accept"
    """What becomes of a message without a signature."""
    on_key_not_found: Action = "accept"
    """What becomes of a message whose signature has no key in the DNS, or a revoked one."""
    on_temperror: Action = "accept"
    """What becomes of a message whose keys could not be looked up."""
    on_permerror: Action = "accept"
    """What becomes of a message with a malformed signature or key."""
    on_security: Action = "accept"
    """What becomes of a message whose signature is refused as unsafe (weak key, rsa-sha1, unsigned text, two
    From)."""


class SigningKeyEntry(Section):
    """One entry of ``keys:``."""

    domain: str = Field(examples=["example.nl"])
    """The domain it signs for, ``user@domain`` or ``*@domain`` for senders, or ``*`` for every domain."""
    selector: str = Field(examples=["mail"])
    """The selector, s=."""
    file: FilePath = Field(examples=["/etc/gatepost/keys/example.nl/mail.private"])
    """The private key: PEM (RSA or Ed25519), or the bare base64 seed of an Ed25519 key."""
    subdomains: bool = False
    """Sign for the domain's subdomains too, with d= the domain itself."""
    signing_domain: Domain | None = None
    """d=, where it is not the domain signed for."""
    identity: str = ""
    """i=, if any: ``@domain`` or ``user@domain``."""


class DkimSign(Daemon):
    """``kind: dkim-sign``, signs what our own users send."""

    kind: Literal["dkim-sign"] = "dkim-sign"
    keys: list[SigningKeyEntry] = []
    """Keys one by one. All entries that match the sender sign."""
    key_path: str | None = None
    """Where a domain's key lies, with ``{domain}`` and ``{selector}``:
    /var/lib/gatepost/dkim/{domain}.{selector}.key"""
    selector: str = "dkim"
    """The selector of ``key_path`` for domains that ``selector_map`` does not name."""
    selector_map: FilePath | None = None
    """A file of ``domain selector`` lines, as rspamd's selector_map."""
    key_table: str | None = None
    """OpenDKIM's KeyTable, as it is; with ``refile:`` in front, key names are patterns."""
    signing_table: str | None = None
    """OpenDKIM's SigningTable, as it is; with ``refile:`` in front, senders are patterns."""
    key_list: FilePath | None = None
    """dkim-filter's KeyList, as it is: ``pattern:domain:keyfile``."""
    sign_for: list[str] = []
    """Who is signed beside SASL users and trusted networks: ``NAME`` for a Postfix daemon name or a macro
    that is set, ``NAME=VALUE`` for a macro with that value (``daemon_name=ORIGINATING``)."""
    sender_headers: list[FieldName] = ["from"]
    """The header fields that name the sender; the first that is there and has a key decides."""
    canonicalization: Canonicalization = Canonicalization("relaxed", "relaxed")
    """``HEADER/BODY``, each simple or relaxed (RFC 6376 §3.4)."""
    headers: list[FieldName] | None = None
    """Header fields to sign where present; none given: those of RFC 6376 §5.4.1."""
    oversign: list[FieldName] | None = None
    """Header fields signed once more than they occur, so that none can be added; none given: From, To, Cc,
    Subject, Date, Message-ID, Reply-To, Sender, MIME-Version, Content-Type, Content-Transfer-Encoding,
    In-Reply-To, References."""
    signature_ttl: Duration | None = None
    """How long a signature is good (x=); none given: for ever."""
    identity: str | None = None
    """i= for keys that do not bring their own: ``@domain`` or ``user@domain``."""
    min_rsa_bits: Annotated[int, Field(ge=1024, le=8192)] = 2048
    """Shorter RSA keys are refused."""
    require_safe_keys: bool = True
    """Refuse key files that other users can read or replace."""
    on_signing_error: Literal["tempfail", "accept"] = "tempfail"
    """What becomes of a message that should be signed and cannot be."""
    authentication_results: bool = False
    """Add an Authentication-Results field to what is signed, as the guides' OpenDKIM does."""
    remove_old_signatures: bool = False
    """Remove DKIM-Signature fields that the message brings."""
    never_sign_to: list[str] = []
    """Recipients (``user@domain`` or ``domain``); a message that goes only to these is not signed."""
    existing_signature: Literal["sign", "skip"] = "sign"
    """What to do with a message that bears a signature of the same domain already."""
