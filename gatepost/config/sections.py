"""The sections of the configuration that all daemons share, and what every daemon has.

Every option is an attribute: its name, type and default, and below it what it
means, from which the documentation is made.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gatepost.config.types import (
    Duration,
    DurationOrZero,
    FilePath,
    HostPattern,
    MetricsAddress,
    Nameserver,
    Size,
    Sockets,
)


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
    """How long one question may take, all servers and retries included. Where very many are under way, one that
    has to wait for its turn may take as long again."""
    message_timeout: Duration = 20.0
    """How long all questions for one message may take together. Postfix waits 30 s for a milter."""
    message_queries: Annotated[int, Field(ge=1, le=10_000)] = 100
    """How many questions each check of a message may cause: HELO, MAIL FROM, all signatures, the DMARC policy."""
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
    request: Size = 64 * 1024
    """The largest policy request, in bytes."""
    attributes: Annotated[int, Field(ge=30, le=10_000)] = 200
    """The most attributes of a policy request."""
    answer_timeout: Duration = 25.0
    """How long a policy service may take over one request. Postfix waits 100 s for an answer, and then defers
    the mail."""
    connections: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """Connections served at a time, per worker; further ones wait in the listen queue."""
    idle_timeout: Duration = 7210.0
    """How long a connection may be silent. Postfix keeps one open for a whole SMTP session."""
    partial_timeout: Duration = 300.0
    """How long half a packet, or half a request, may stay half."""


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
    """How long messages in flight may take when the daemon stops. After a reload, SMTP sessions that are open
    then keep the old configuration for up to half of it."""
    on_internal_error: Literal["accept", "tempfail"] = "tempfail"
    """What becomes of a message when something breaks in the daemon itself."""
    ignore_hosts: list[HostPattern] = []
    """Clients that the daemon has nothing to do with: addresses, networks, host names, ``.domain`` for all
    hosts below it, ``!`` in front to except one. The narrowest entry decides."""
    limits: Limits = Limits()
