"""The options of the greylist daemon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PlainValidator, model_validator

from gatepost.config.names import parse_domain
from gatepost.config.sections import Daemon, Section
from gatepost.config.types import Domain, Duration, DurationOrZero, FilePath
from gatepost.config.words import quoted

DEFAULT_STORE = "/var/lib/gatepost/greylist.sqlite"
_STORE_FORMS = "sqlite:/PATH or redis://HOST:PORT/DB"
_LONGEST_TEXT = 400
_URL_SCHEMES = ("redis", "rediss", "unix")


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """Where greylisting remembers: ``value`` is the path of an SQLite file, or the URL of a Redis server.

    As text it has no password.
    """

    kind: Literal["sqlite", "redis"]
    value: str

    def __str__(self) -> str:
        if self.kind == "sqlite":
            return f"sqlite:{self.value}"
        url = urlsplit(self.value)
        host = url.netloc.rpartition("@")[2]
        return f"{url.scheme}://{host}{url.path}"

    @classmethod
    def parse(cls, value: object) -> StoreAddress:
        """Read ``sqlite:/PATH``, a bare path, or a URL with redis:, rediss: (TLS) or unix:. Raises ValueError."""
        if isinstance(value, StoreAddress):
            return value
        if not isinstance(value, str):
            raise ValueError(f"expected {_STORE_FORMS}")
        text = value.strip()
        path = text.removeprefix("sqlite:")
        if path.startswith("/") and path.isprintable() and not path.endswith("/"):
            return cls("sqlite", path)
        scheme, separator, rest = text.partition("://")
        if scheme not in _URL_SCHEMES or not separator or not rest or not text.isprintable():
            # The rest may hold a password: it is not repeated.
            shown = f", not {quoted(scheme)}" if separator else f", not {quoted(text)}"
            raise ValueError(f"expected {_STORE_FORMS}{shown}")
        _check_url(text)
        return cls("redis", text)


def _check_url(text: str) -> None:
    url = urlsplit(text)
    if url.scheme == "unix":
        if url.netloc or not url.path.startswith("/"):
            raise ValueError("expected unix:///PATH?db=NUMBER, the socket's whole path")
        return
    try:
        sound = bool(url.hostname) and (url.port or 1) > 0
    except ValueError:
        sound = False
    database = url.path.removeprefix("/")
    if not sound or (database and not database.isdigit()):
        raise ValueError(f"expected {url.scheme}://HOST:PORT/DB, DB being a number")


Store = Annotated[StoreAddress, PlainValidator(StoreAddress.parse)]
"""Where greylisting remembers."""


def _parse_list(value: object) -> str | None:
    """Take the domain of a DNS list; ``no`` is none. Raises ValueError."""
    if value is None or value == "no":
        return None
    domain = value if isinstance(value, str) and "." in value.strip(". ") else None
    if domain is None:
        shown = f", not {quoted(value)}" if isinstance(value, str) else ""
        raise ValueError(f"expected the domain of a DNS list, such as list.dnswl.org{shown}")
    return parse_domain(domain)


def _parse_text(text: str) -> str:
    """Take a template that becomes one line of an SMTP reply (RFC 5321 §4.2). Raises ValueError."""
    plain = text.replace("{seconds}", "").replace("{domain}", "")
    if "{" in plain or "}" in plain:
        raise ValueError("only {seconds} and {domain} can stand in it")
    if not text.isascii() or not text.isprintable() or not text.strip() or len(text) > _LONGEST_TEXT:
        raise ValueError(f"expected one line of printable ASCII, at most {_LONGEST_TEXT} characters")
    return text.strip()


class GreylistAllow(Section):
    """``allow:``, who is never greylisted. Entries and files have postgrey's format."""

    clients: list[str] = []
    """Clients: ``domain`` (and all below it), address, first numbers of an address, network, or ``/expression/``.
    Names are those that Postfix has confirmed by a look-up in both directions."""
    client_files: list[FilePath] = []
    """Files of such entries, one a line, such as postgrey's whitelist_clients."""
    recipients: list[str] = []
    """Recipients: ``domain`` (and all below it), ``name@``, ``name@domain``, or ``/expression/``."""
    recipient_files: list[FilePath] = []
    """Files of such entries, one a line, such as postgrey's whitelist_recipients."""
    senders: list[str] = []
    """Senders, as recipients; ``<>`` is the null sender."""
    sender_files: list[FilePath] = []
    """Files of such entries, one a line."""


class Greylist(Daemon):
    """``kind: greylist``, lets a stranger's first delivery attempt wait: most who send spam do not come again."""

    kind: Literal["greylist"] = "greylist"
    on_internal_error: Literal["accept", "tempfail"] = "accept"
    """What becomes of a message when something breaks in the daemon itself."""
    store: Store = StoreAddress("sqlite", DEFAULT_STORE)
    """Where it remembers: ``sqlite:/PATH``, or ``redis://HOST:PORT/DB`` (Redis or Valkey; ``rediss:`` with TLS,
    ``unix:///PATH?db=DB``) for several servers together."""
    store_timeout: Duration = 1.0
    """How long the store may take to answer. After that the message passes."""
    delay: DurationOrZero = 300.0
    """How long the first attempt waits."""
    retry_window: Duration = 172_800.0
    """How long after the first attempt another one is still taken for the same message."""
    max_age: Duration = 3_024_000.0
    """How long a sender that passed is remembered after its last message."""
    ipv4_prefix: Annotated[int, Field(ge=8, le=32)] = 24
    """Clients of one network count as one, for servers that share their work: how many bits name an IPv4 network."""
    ipv6_prefix: Annotated[int, Field(ge=16, le=128)] = 64
    """How many bits name an IPv6 network."""
    spf: bool = True
    """Know mail whose SPF result is pass by its domain instead of the client's network: a large sender's servers
    are known all together."""
    auto_allow: Annotated[int, Field(ge=0, le=1_000_000)] = 5
    """After so many deliveries everything passes at once from a network (or SPF domain); 0 means never."""
    auto_allow_interval: DurationOrZero = 3600.0
    """Of the deliveries within this time one counts, so that one burst of spam does not make a friend."""
    greylist: Literal["all", "opt_in", "opt_out"] = "all"
    """For whom: ``all``, only the domains of ``recipient_domains`` (``opt_in``), or all but these (``opt_out``)."""
    recipient_domains: list[Domain] = []
    """Domains of recipients for ``opt_in`` and ``opt_out``."""
    allow: GreylistAllow = GreylistAllow()
    """Who is never greylisted."""
    dnswl: Annotated[str | None, PlainValidator(_parse_list)] = None
    """A DNS list of mail servers that are known to be ones, such as list.dnswl.org: who is on it passes."""
    text: Annotated[str, AfterValidator(_parse_text)] = "Greylisted, please try again in {seconds} seconds"
    """What the client is told; ``{seconds}`` is the time left, ``{domain}`` the recipient's domain."""
    dry_run: bool = False
    """Remember, log and count, and let everything pass."""

    @model_validator(mode="after")
    def _fits(self) -> Greylist:
        if self.retry_window <= self.delay:
            raise ValueError("retry_window has to be longer than delay, or nothing would ever pass")
        if self.greylist == "opt_in" and not self.recipient_domains:
            raise ValueError("greylist: opt_in needs recipient_domains")
        return self
