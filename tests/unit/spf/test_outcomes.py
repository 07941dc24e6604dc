"""Outcomes that are kept: what is told with them is what would be told without them, and they have bounds."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from unittest.mock import Mock, patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.config.sections import Dns
from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.budget import Budget
from gatepost.dns.cache import Cache, weight
from gatepost.networks import parse_address
from gatepost.spf import check, replay
from gatepost.spf.check import Check
from gatepost.spf.identity import sender_of
from gatepost.spf.outcomes import HEAVIEST, Outcomes
from gatepost.spf.query import Query
from gatepost.spf.result import SpfResult
from gatepost.spf.subject import Subject
from tests.unit.spf.suite import Items, answer

CLIENT, OTHER, SIX = "192.0.2.1", "198.51.100.7", "2001:db8::1"


@dataclass(frozen=True)
class Asked:
    """A mail comes."""

    client: str = CLIENT
    helo: str = "mx.example"
    mail_from: str = "bob@a.example"


@dataclass(frozen=True)
class Waited:
    """Time goes by."""

    seconds: float


@dataclass(frozen=True)
class Published:
    """A domain changes what it says."""

    name: str
    items: Items


Step = Asked | Waited | Published


@dataclass
class Dated:
    """A resolver with a cache, over a zone that changes, in a time of its own; ``noted`` has what it was asked."""

    ttl: float
    now: float = 1_700_000_000.0
    zone: dict[str, Items] = field(default_factory=dict)
    noted: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._cache = Cache(100, clock=lambda: self.now)

    def cached(self, name: str, rdtype: str) -> Answer | None:
        found = self._cache.get((name, rdtype))
        if found is not None:
            self.noted.append(("cached", name, rdtype))
        return found

    async def lookup(self, name: str, rdtype: str, budget: Budget | None = None) -> Answer:
        self.noted.append(("looked up", name, rdtype))
        found = answer(self.zone, name, rdtype)
        self._cache.put((name, rdtype), found, 0 if found.temporary else self.ttl)
        await asyncio.sleep(0)
        return found


def play(ttl: float, steps: Sequence[Step], outcomes: Outcomes | None) -> list[object]:
    """Take the steps; gives all results, and between them all that the resolver was asked."""
    dns = Dated(ttl)
    told: list[object] = []

    async def go() -> None:
        for step in steps:
            if isinstance(step, Waited):
                dns.now += step.seconds
            elif isinstance(step, Published):
                dns.zone[step.name] = step.items
            else:
                helo, mail_from = step.helo.encode(), step.mail_from.encode()
                checking = Check(
                    dns,  # type: ignore[arg-type]
                    Budget(Dns()),
                    step.client,
                    helo,
                    mail_from,
                    receiver="mx.example.nl",
                    outcomes=outcomes,
                )
                told.append(checking.now() or await checking.finish())
                told.extend(dns.noted)
                dns.noted.clear()

    with patch.object(check, "time", SimpleNamespace(time=lambda: dns.now)):
        asyncio.run(go())
    return told


_MACROS = ["%{l}.b.example", "%{s}", "%{h}", "%{o}", "%{d}", "%{i}.b.example", "%{p}", "b.example"]
_TARGETS = st.sampled_from(_MACROS)
_TERMS = st.one_of(
    st.sampled_from(["ip4:192.0.2.0/24", "ip6:2001:db8::/32", "a", "mx", "ptr", "?all", "~all", "-all", "x=%{s}"]),
    st.builds(str.__add__, st.sampled_from(["a:", "exists:", "include:", "redirect=", "mx:", "ptr:"]), _TARGETS),
)  # fmt: skip
_RECORDS = st.one_of(
    st.lists(_TERMS, max_size=4).map(lambda terms: " ".join(["v=spf1", *terms])),
    _TARGETS.map("v=spf1 exists:{} ~all".format),
    st.just("v=spf1 -all exp=why.example"),
)
_ADDRESSES = st.sampled_from(
    [{"A": CLIENT}, {"A": "10.0.0.1"}, {"AAAA": SIX}, {"MX": (1, "mx.example")}, "TIMEOUT"]
)
_TEXTS = st.sampled_from(["%{s} may not", "%{l}", "%{h}", "%{r}", "%{i} for %{d}", "%{c} at %{t}"])


def _holds(
    name: str, texts: st.SearchStrategy[str], *more: st.SearchStrategy[object]
) -> st.SearchStrategy[Step]:
    """A domain comes to hold a text, and whatever else."""
    items = st.tuples(texts.map(lambda text: {"TXT": text}), *more)
    return st.builds(lambda items: Published(name, items), items)


_DOMAINS = [
    _holds("a.example", _RECORDS, _ADDRESSES),
    _holds("b.example", _RECORDS, _ADDRESSES),
    _holds("mx.example", _RECORDS, _ADDRESSES),
    _holds("why.example", _TEXTS),
    _holds("bob.b.example", st.just(""), _ADDRESSES),
    _holds(
        "1.2.0.192.in-addr.arpa", st.just(""), st.sampled_from([{"PTR": "b.example"}, {"PTR": "mx.example"}])
    ),
]
_ASKED = st.builds(
    Asked,
    st.sampled_from([CLIENT, CLIENT, CLIENT, OTHER, SIX]),
    st.sampled_from(["mx.example", "mx.example", "MX.example", "b.example"]),
    st.sampled_from(
        ["bob@a.example", "bob@a.example", "eve@a.example", "eve@a.example", "", "bob@b.example"]
    ),
)
# Most mail comes again soon, with little changed, and finds all as it was; and then something is otherwise.
_MAILS = st.lists(_ASKED, min_size=3, max_size=4).map(lambda asked: [*asked, *asked, Waited(1), *asked])
_CHANGE = st.tuples(st.one_of(_DOMAINS), st.sampled_from([1.0, 8.0, 30.0]).map(Waited))
_STEPS = st.builds(
    lambda domains, parts: [*domains, *(step for mails, change in parts for step in (*mails, *change))],
    st.tuples(*_DOMAINS),
    st.lists(st.tuples(_MAILS, _CHANGE), min_size=1, max_size=3),
)


@given(st.sampled_from([0.0, 10.0, 10.0, 3600.0]), _STEPS)
def test_what_is_told_and_what_is_asked_are_the_same(ttl: float, steps: list[Step]) -> None:
    assert play(ttl, steps, Outcomes(4)) == play(ttl, steps, None)


SPF = "a.example"
ZONES: list[tuple[dict[str, Items], bool]] = [
    ({SPF: [{"TXT": "v=spf1 ip4:192.0.2.0/24 -all"}]}, True),
    ({SPF: [{"TXT": "v=spf1 -all"}]}, True),
    ({SPF: [{"TXT": "no record"}]}, True),
    ({SPF: [{"TXT": "v=spf1 oops"}]}, True),
    ({SPF: [{"TXT": "v=spf1 exists:%{i}.%{o}.%{d}.%{v}.b.example ?all"}]}, True),
    ({SPF: [{"TXT": "v=spf1 exists:%{p}.b.example ?all"}]}, True),
    ({SPF: [{"TXT": "v=spf1 x=%{l} -all"}]}, True),
    ({SPF: [{"TXT": "v=spf1 include:b.example ?all"}], "b.example": [{"TXT": "v=spf1 a ~all"}, {"A": CLIENT}]}, True),
    ({SPF: [{"TXT": "v=spf1 -all exp=b.example"}], "b.example": [{"TXT": "%{i} is not one of %{o}"}]}, True),
    ({SPF: [{"TXT": "v=spf1 +all exp=b.example"}], "b.example": [{"TXT": "%{s}"}]}, True),
    # What differs from mail to mail.
    ({SPF: [{"TXT": "v=spf1 exists:%{l}.b.example ?all"}]}, False),
    ({SPF: [{"TXT": "v=spf1 +all exists:%{L1r-}.b.example"}]}, False),
    ({SPF: [{"TXT": "v=spf1 exists:%{s}.b.example ?all"}]}, False),
    ({SPF: [{"TXT": "v=spf1 exists:%{h}.b.example ?all"}]}, False),
    ({SPF: [{"TXT": "v=spf1 include:b.example ?all"}], "b.example": [{"TXT": "v=spf1 a:%{l}.b.example -all"}]}, False),
    ({SPF: [{"TXT": "v=spf1 -all exp=b.example"}], "b.example": [{"TXT": "%{s}"}]}, False),
    ({SPF: [{"TXT": "v=spf1 -all exp=b.example"}], "b.example": [{"TXT": "%{l}"}]}, False),
    ({SPF: [{"TXT": "v=spf1 -all exp=b.example"}], "b.example": [{"TXT": "%{h}"}]}, False),
    ({SPF: [{"TXT": "v=spf1 -all exp=b.example"}], "b.example": [{"TXT": "%{r}"}]}, False),
    ({SPF: [{"TXT": "v=spf1 -all exp=b.example"}], "b.example": [{"TXT": "%{t}"}]}, False),
    # What may be told otherwise at any time.
    ({SPF: ["TIMEOUT"]}, False),
    ({SPF: [{"TXT": "v=spf1 include:b.example -all"}], "b.example": ["TIMEOUT"]}, False),
    # What fills the memory.
    ({SPF: [{"TXT": "v=spf1 -all x=" + "x" * HEAVIEST}]}, False),
    ({SPF: [{"TXT": "v=spf1 -all"}, *({"TXT": f"{n} " + "x" * 1000} for n in range(HEAVIEST // 1000))]}, False),
]  # fmt: skip


def subject(
    client: str = CLIENT, mail_from: bytes = b"bob@a.example", helo: bytes = b"mx.example"
) -> Subject:
    address = parse_address(client)
    assert address is not None
    return Subject(address, sender_of(helo, mail_from), "mx.example.nl", 1_700_000_000.0)


class Still:
    """Answers from a zone, each the same object until it is forgotten."""

    def __init__(self, zone: dict[str, Items]) -> None:
        self.known: dict[tuple[str, str], Answer] = {}
        self._zone = zone

    def __call__(self, name: str, rdtype: str) -> Answer:
        return self.known.setdefault((name, rdtype), answer(self._zone, name, rdtype))


@pytest.mark.parametrize(("zone", "kept"), ZONES)
def test_which_are_kept(zone: dict[str, Items], kept: bool) -> None:
    outcomes, answers = Outcomes(), Still(zone)
    first = replay.evaluate(subject(), answers, outcomes=outcomes)
    assert (outcomes.find(subject(mail_from=b"eve@a.example", helo=b"other"), answers) is first) is kept
    assert len(outcomes) == kept


def test_each_outcome_is_of_one_client_domain_and_identity() -> None:
    outcomes, answers = Outcomes(), Still({SPF: [{"TXT": "v=spf1 ip4:192.0.2.0/24 -all"}]})
    subjects = [
        subject(),
        subject(mail_from=b"bob@b.example"),
        subject(helo=b"a.example", mail_from=b""),
        subject(client="192.0.2.2"),
        subject(client="::c000:201"),  # another address with the same number
    ]
    results = [replay.evaluate(each, answers, outcomes=outcomes) for each in subjects]
    assert len(outcomes) == len(subjects)
    assert results == [replay.evaluate(each, answers) for each in subjects]
    assert [outcomes.find(each, answers) for each in subjects] == results


def test_nothing_is_evaluated_twice_on_the_same_answers() -> None:
    outcomes, answers = Outcomes(), Still({SPF: [{"TXT": "v=spf1 a -all"}, {"A": CLIENT}]})
    evaluated = partial(replay.evaluate, subject(), answers, outcomes=outcomes)
    with patch.object(replay, "Query", Mock(wraps=Query)) as queries:
        assert evaluated() == evaluated() == evaluated()
        assert queries.call_count == 1
        # An answer that came anew, though it says the same.
        del answers.known[SPF, "A"]
        assert evaluated() == evaluated()
        assert queries.call_count == 2


def test_a_fault_of_ours_is_not_kept() -> None:
    outcomes, answers = Outcomes(), Still({SPF: [{"TXT": "v=spf1 -all"}]})
    with patch.object(Query, "check", side_effect=RuntimeError("broken")):
        broken = replay.evaluate(subject(), answers, outcomes=outcomes)
    assert isinstance(broken, SpfResult)
    assert broken.fault
    assert replay.evaluate(subject(), answers, outcomes=outcomes) == replay.evaluate(subject(), answers)


def test_what_had_to_be_waited_for_is_kept_when_it_comes_again() -> None:
    outcomes = Outcomes()
    steps: list[Step] = [Published(SPF, [{"TXT": "v=spf1 -all"}]), Asked()]
    play(10.0, steps, outcomes)
    assert len(outcomes) == 0
    play(10.0, [*steps, Asked()], outcomes)
    assert len(outcomes) == 1


def test_a_traced_check_evaluates() -> None:
    outcomes, dns = Outcomes(), Dated(10.0)
    dns.zone[SPF] = [{"TXT": "v=spf1 -all"}]

    def traced() -> Check:
        sender = b"bob@a.example"
        return Check(dns, Budget(Dns()), CLIENT, b"mx.example", sender, traced=True, outcomes=outcomes)  # type: ignore[arg-type]

    asyncio.run(traced().finish())
    for _ in range(2):
        checking = traced()
        assert checking.now() is not None
        assert checking.trace is not None
        assert checking.trace.steps


def test_the_least_recently_used_goes_first() -> None:
    outcomes, answers = Outcomes(2), Still({SPF: [{"TXT": "v=spf1 -all"}]})
    first, second, third = (subject(f"10.0.0.{number}") for number in range(3))
    for each in (first, second, first, third):
        replay.evaluate(each, answers, outcomes=outcomes)
    assert [outcomes.find(each, answers) is not None for each in (first, second, third)] == [
        True,
        False,
        True,
    ]


def test_the_memory_they_take_has_a_bound() -> None:
    """Many strangers, each with a domain whose record is nearly as long as one may be that is kept."""

    def come(outcomes: Outcomes, number: int) -> None:
        text = b"v=spf1 -all x=%d" % number + b"x" * (HEAVIEST - 1024)
        answers = {("a.example", "TXT"): Answer(Outcome.FOUND, (text,))}
        stranger = subject(f"10.0.{number}.1")
        replay.evaluate(stranger, lambda name, rdtype: answers[name, rdtype], outcomes=outcomes)

    size = 10 * HEAVIEST
    outcomes = Outcomes(1000, size)
    come(outcomes, 0)
    tracemalloc.start()
    try:
        for number in range(1, 100):
            come(outcomes, number)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(outcomes) == 10
    # The result has the record once more, as text.
    assert held < 2 * size * 1.2


def test_their_number_has_a_bound() -> None:
    outcomes, answers = Outcomes(20), Still({SPF: [{"TXT": "v=spf1 -all"}]})
    for number in range(100):
        replay.evaluate(subject(f"10.0.{number}.1"), answers, outcomes=outcomes)
    assert len(outcomes) == 20


def test_those_that_are_renewed_take_no_more_room() -> None:
    answers = Still({SPF: [{"TXT": "v=spf1 -all"}]})
    outcomes = Outcomes(20, 3 * weight(answers(SPF, "TXT")))
    for _ in range(20):
        for client in ("10.0.0.1", "10.0.0.2"):
            replay.evaluate(subject(client), answers, outcomes=outcomes)
        assert len(outcomes) == 2
        answers.known.clear()
