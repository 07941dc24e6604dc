"""pyspf's evaluation, on answers that are at hand.

pyspf reads the records, decides which mechanism matches, and keeps its limits
of 10 look-ups, 10 MX and 10 PTR names. Done here instead, because it was slow,
unsafe, or not what the RFC says: DNS, macros, unknown modifiers, explanations,
and the count of void look-ups.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import spf

from gatepost.spf.identity import Sender
from gatepost.spf.macros import MacroError, expand_domain, expand_explanation
from gatepost.spf.questions import Answers, Questions
from gatepost.spf.result import Identity, safe
from gatepost.spf.subject import PERSONAL, Subject, dotted
from gatepost.spf.terms import OCTETS_A_TERM, terms_of, weight
from gatepost.spf.trace import Trace

MAX_TERMS = 5000
"""Terms read in one evaluation, of all records together. A record of 64 kB can have 3,500 networks."""

# What means the same in every record: networks, "all", and mechanisms with a whole domain.
_GENERAL = re.compile(r"[-+?~]?(?:ip[46]:|all\Z|(?:a|mx|include):[^%]*\Z)", re.IGNORECASE)
_LONGEST_KEPT = 300
_OF_ITSELF = "include has trivial recursion"  # pyspf's words, by which alone it tells this error
_NO_DOMAIN = "-"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where an explanation is to be found, and %{d} in it; it is only looked up for a client that fails."""

    name: str
    domain: str


@dataclass(slots=True)
class _Term:
    """A mechanism of a record as pyspf takes it apart. Unpacking it is what pyspf does when its turn comes."""

    parts: tuple[str, str, str, int, str]
    query: Query = field(repr=False)

    def __iter__(self) -> Any:
        assert self.query.trace is not None
        self.query.trace.begin(*self.parts[:3])
        return iter(self.parts)


class Query(spf.query):  # type: ignore[misc]
    """pyspf's evaluation, on answers that are at hand.

    ``personal`` says that it came to a macro that may stand for something else
    in the next mail of the same client and domain.
    """

    def __init__(self, subject: Subject, answers: Answers, trace: Trace | None) -> None:
        client = subject.client
        # What pyspf's constructor makes anew for every query is the same for all but these: it is too slow, and
        # would split the sender at its first "@".
        self.__dict__.update(_BLANK)
        self.exps = dict(self.defexps)
        self.d = self.o = subject.sender.domain
        self.ipaddr = client
        self._bits = self.cidrmax = client.max_prefixlen
        if client.version == 4:
            self.A, self.v, self._family = "A", "in-addr", socket.AF_INET
        else:
            self.A, self.v, self._family = "AAAA", "ip6", socket.AF_INET6
        self._client = int(client)
        self._subject = subject
        self.mechanism = None
        self.trace = trace
        self.record = ""
        self.questions = Questions(answers, trace)
        self.personal = False
        self.terms = 0
        self._levels: list[int] = []
        self._unfollowed = False

    # -- records

    def dns_spf(self, domain: str) -> str | None:
        """The SPF record of *domain* (§4.5). The first one asked for is the identity's own."""
        if self.trace is not None:
            self.trace.enter(domain)
        record: str | None = super().dns_spf(domain)
        if record is not None and not self.record and domain == self.o:
            self.record = record
        if self.trace is not None:
            self.trace.found(record or "")
        return record

    def check1(self, record: str | None, domain: str, recursion: int) -> Any:
        """Evaluate the record of another domain. For a redirect, pyspf stays on the same level."""
        if self._levels and self._levels[-1] == recursion:
            self.check_lookups()
        self._levels.append(recursion)
        result = super().check1(record, domain, recursion)
        self._levels.pop()
        return result

    def check0(self, record: str | None, recursion: int) -> Any:
        """Evaluate one record; what pyspf reads otherwise than the RFC is put straight first."""
        if record:
            self.terms += weight(record)
            if self.terms > MAX_TERMS:
                text = f"More than {MAX_TERMS} terms, or {MAX_TERMS * OCTETS_A_TERM} octets of them"
                raise spf.PermError(text)
            terms = terms_of(record)
            self.questions.foresee_records(terms.includes)
            self._unfollowed = self._unfollowed or terms.redirects
            record = terms.text
        result = super().check0(record, recursion)
        if self.trace is not None:
            self.trace.leave(result[0])
        return result

    def validate_mechanism(self, mech: str) -> Any:
        """Take one mechanism apart."""
        try:
            if self.trace is None and len(mech) <= _LONGEST_KEPT and _GENERAL.match(mech):
                parts = _general(mech, self.v)
            else:
                parts = super().validate_mechanism(mech)
        except ValueError:  # from int(), which refuses thousands of digits
            raise spf.PermError("Invalid CIDR length", mech) from None
        except spf.PermError as error:
            # "+include" gives the same message.
            if error.msg != _OF_ITSELF or ":" not in mech:
                raise
            # No error of syntax (§4.6): whoever comes to it goes round until the limit of look-ups.
            parts = mech, "include", self.d, self.cidrmax, spf.RESULTS.get(mech[0], "pass")
        return parts if self.trace is None else _Term(parts, self)

    def check_lookups(self) -> None:
        """Count a term that costs look-ups. A redirect counts where it is followed, not where it is read."""
        if self._unfollowed:
            self._unfollowed = False
            return
        super().check_lookups()
        if self.trace is not None:
            self.trace.counted(self.lookups)

    # -- explanations

    def get_explanation(self, spec: str) -> Explanation:
        """Note where the explanation is; pyspf would fetch it whatever the verdict."""
        return Explanation(spec, self.d)

    def explained(self, explanation: Explanation) -> str:
        """What the domain says (§6.2); "" where nothing can be had: an explanation changes no result."""
        self.d = explanation.domain
        try:
            records = self.dns(explanation.name, "TXT", ignore_void=True)
            if len(records) != 1:
                return ""
            return safe(expand_explanation(records[0].decode("ascii"), self._macro))
        except (spf.TempError, spf.PermError, MacroError, UnicodeDecodeError):
            return ""

    # -- macros

    def expand_domain(self, arg: str) -> str:
        """The name that a domain-spec stands for (§7)."""
        try:
            return expand_domain(arg, self._macro)
        except MacroError as error:
            raise spf.PermError(f"Invalid domain: {error}", arg) from None

    def _macro(self, letter: str) -> str:
        if letter == "p":
            return str(self.getp())
        if letter == "d":
            return str(self.d)
        self.personal = self.personal or letter in PERSONAL
        return self._subject.letter(letter)

    # -- DNS

    def dns(self, name: str, qtype: str, cnames: object = None, ignore_void: bool = False) -> list[Any]:
        """The records of *name* (:meth:`Questions.ask`)."""
        return self.questions.ask(name, qtype, ignore_void)

    def dns_txt(self, domainname: str, rr: str = "TXT", ignore_void: bool = False) -> list[Any]:
        """The TXT records of *domainname*; the strings of each have been joined already."""
        return self.dns(domainname, rr, ignore_void=ignore_void)

    def dns_mx(self, domainname: str) -> Iterator[Any]:
        """The addresses of all its exchanges (§5.4); more than MAX_MX are an error, not a reason to cut.

        None is looked up behind the one that matches: its faults are no reason to refuse the others' mail.
        """
        exchanges = sorted(self.dns(domainname, "MX"))
        if len(exchanges) > spf.MAX_MX:
            raise spf.PermError(f"More than {spf.MAX_MX} MX records")
        self.questions.foresee_addresses([exchange.lower() for _, exchange in exchanges if exchange], self.A)
        return (address for _, exchange in exchanges for address in self.dns_a(exchange, self.A))

    def validated_ptrs(self) -> list[str]:
        """The client's names that lead back to it (§5.5); errors mean that there are none, or one less."""
        try:
            names = [name.lower() for name in self.dns_ptr(dotted(self._subject.client))[: spf.MAX_PTR]]
        except spf.TempError:
            return []
        self.questions.foresee_addresses(names, self.A)
        validated = [name for name in names if self._leads_back(name)]
        if self.trace is not None and self.trace.term is not None and self.trace.term.mechanism == "ptr":
            self.trace.hit = bool(spf.domainmatch(validated, self.trace.term.target))
        return validated

    def _leads_back(self, name: str) -> bool:
        try:
            return self.cidrmatch(self.dns_a(name, self.A), self._bits)
        except spf.TempError:
            return False

    def cidrmatch(self, addresses: Iterable[str], length: int) -> bool:
        """Whether the client is in the network of that prefix *length* around one of *addresses*."""
        shift = self._bits - length
        wanted = self._client >> shift
        try:
            for address in addresses:
                if int.from_bytes(socket.inet_pton(self._family, address)) >> shift == wanted:
                    if self.trace is not None:
                        self.trace.hit = True
                    return True
        except OSError:
            raise spf.PermError("Invalid address", address) from None
        return False


_BLANK = {
    name: value
    for name, value in vars(spf.query("", "x@x.example", "x")).items()
    if name not in PERSONAL  # these are the subject's: what reads them here is to fail, not to be misled
}

_NOBODY = Sender(Identity.MAIL_FROM, "", _NO_DOMAIN, "")
_READERS = {
    family: Query(Subject(client, _NOBODY), lambda _name, _type: None, None)
    for family, client in (("in-addr", IPv4Address(0)), ("ip6", IPv6Address(0)))
}


@lru_cache(maxsize=4096)
def _general(term: str, family: str) -> Any:
    """What pyspf reads in a term that is the same for every domain: most of what records hold."""
    return spf.query.validate_mechanism(_READERS[family], term)
