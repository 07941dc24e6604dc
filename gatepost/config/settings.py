"""Every option there is: its name, type, default and meaning.

One model a section of the file. The loader (``load``) turns YAML into these,
the daemons read them, and the documentation is made from their descriptions.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gatepost.config.types import (
    AuthservId,
    Canonicalization,
    Domain,
    Duration,
    DurationOrZero,
    FieldName,
    FilePath,
    HostPattern,
    MetricsAddress,
    Nameserver,
    Network,
    Size,
    Sockets,
)

Action = Literal["accept", "tempfail", "reject", "quarantine", "discard"]


class Section(BaseModel):
    """What all sections share: unknown keys are errors, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_section(cls, value: object) -> object:
        # A section whose lines are all commented out.
        return {} if value is None else value


class Dns(Section):
    """``dns:``, how names are looked up."""

    nameservers: list[Nameserver] = []
    """Servers to ask, as ADDRESS or ADDRESS:PORT ([ADDRESS]:PORT for IPv6). None given: those of
    /etc/resolv.conf."""
    timeout: Duration = 5.0
    """How long one question may take, all servers and retries included."""
    message_timeout: Duration = 20.0
    """How long all questions for one message may take together. Postfix waits 30 s for a milter."""
    message_queries: Annotated[int, Field(ge=1, le=10_000)] = 100
    """How many questions one message may cause."""
    cache_size: Annotated[int, Field(ge=0, le=10_000_000)] = 20_000
    """Answers kept, per worker; 0 keeps none."""
    max_ttl: DurationOrZero = 3600.0
    """The longest an answer is kept, whatever its TTL says."""
    max_negative_ttl: DurationOrZero = 300.0
    """The longest a "no such record" is kept (RFC 2308)."""
    zone: FilePath | None = None
    """A file with fixed answers, asked before (and for its names instead of) any server. For tests."""


class Log(Section):
    """``log:``, what is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines that are written."""
    format: Literal["text", "json"] = "text"
    """``text`` is key=value after the queue id; ``json`` is one object a line."""


class Limits(Section):
    """``limits:``, the bounds on what a peer may send."""

    packet: Size = 1024 * 1024
    """The largest milter packet, in bytes."""
    header_bytes: Size = 1024 * 1024
    """The largest header of a message, in bytes."""
    header_fields: Annotated[int, Field(ge=10, le=100_000)] = 1000
    """The most header fields of a message."""
    recipients: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """The most recipients of a message that are remembered."""
    connections: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """Connections served at a time, per worker; further ones wait in the listen queue."""
    idle_timeout: Duration = 7210.0
    """How long a connection may be silent. Postfix keeps one open for a whole SMTP session."""
    partial_timeout: Duration = 300.0
    """How long half a packet may stay half."""


class Daemon(Section):
    """What every daemon has, whatever its kind."""

    socket: Sockets = Field(min_length=1, examples=["inet:8891@127.0.0.1"])
    """Where it listens: ``inet:PORT@HOST``, ``inet6:PORT@HOST``, ``unix:PATH`` or ``local:PATH``; one or
    a list. ``inet:PORT`` alone is 127.0.0.1.
    A mapping ``{address: unix:PATH, mode: "0660", group: postfix}`` says who may connect."""
    metrics: MetricsAddress | None = None
    """Where ``/metrics`` and ``/healthz`` are served, as ADDRESS:PORT."""
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    """How many processes share the socket."""
    engine: Literal["asyncio", "libmilter"] = "asyncio"
    """``libmilter`` runs the same daemon on pymilter; it allows one worker."""
    user: str | None = None
    """The user to become once sockets are bound and keys are read. Needs root."""
    group: str | None = None
    """The group to become; none given: the user's own."""
    drain_timeout: DurationOrZero = 30.0
    """How long messages in flight may take when the daemon stops."""
    on_internal_error: Literal["accept", "tempfail"] = "tempfail"
    """What becomes of a message when something breaks in the daemon itself."""
    ignore_hosts: list[HostPattern] = []
    """Clients that the daemon has nothing to do with: addresses, networks, host names, ``.domain`` for all
    hosts below it, ``!`` in front to except one. The narrowest entry decides."""
    limits: Limits = Limits()


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
    on_key_not_found: Action = "accept"
    on_temperror: Action = "accept"
    on_permerror: Action = "accept"
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


AnyDaemon = DkimVerify | DkimSign
"""Every kind of daemon there is; a new one is added here, and nowhere else."""

KINDS: dict[str, type[Daemon]] = {
    get_args(model.model_fields["kind"].annotation)[0]: model for model in get_args(AnyDaemon)
}
"""The kinds by name."""


class Config(Section):
    """The whole file."""

    authserv_id: AuthservId
    """The name under which results are written, and believed (RFC 8601 §2.5); none given: this host's
    name."""
    authserv_aliases: list[AuthservId] = []
    """Other names that are ours: fields that bear them are removed too."""
    trusted_networks: list[Network] = [IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")]
    """Clients that are ourselves: not verified, signed for, and believed when they bring sealed results."""
    believe_unsealed_from: list[Network] = []
    """Clients whose unsealed Authentication-Results under our name are believed. For a migration only."""
    seal_secret: FilePath = Path("/var/lib/gatepost/seal.key")
    """The secret under which results are sealed. Made on first use. The same on all hosts of a pipeline."""
    seal_validity: Duration = 3600.0
    """How long a sealed result is good."""
    user: str | None = None
    """``user`` of all daemons that name none."""
    group: str | None = None
    """``group`` of all daemons that name none."""
    dns: Dns = Dns()
    log: Log = Log()
    daemons: dict[str, Annotated[AnyDaemon, Field(discriminator="kind")]] = Field(min_length=1)
    """The daemons by name. A daemon's kind is its name, unless ``kind`` says otherwise."""
