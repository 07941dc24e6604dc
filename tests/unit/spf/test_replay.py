"""Evaluation by replay: where it is otherwise than pyspf's own, its bounds, and whatever strangers publish."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.dns.answer import Answer, Outcome
from gatepost.networks import parse_address
from gatepost.spf.identity import sender_of
from gatepost.spf.query import MAX_TERMS
from gatepost.spf.replay import Missing, evaluate
from gatepost.spf.result import MAX_TEXT, SpfResult, Verdict
from gatepost.spf.subject import Subject
from gatepost.spf.trace import Term, Trace
from tests.unit.spf.suite import Items, Zone, answer

FOUR, SIX = "192.0.2.1", "2001:db8::1"


def subject(
    client: str = FOUR, mail_from: bytes = b"bob@example.org", helo: bytes = b"mx.example.org"
) -> Subject:
    address = parse_address(client)
    assert address is not None
    return Subject(address, sender_of(helo, mail_from), "mx.example.nl", 1_700_000_000.0)


def evaluated(
    zone: Zone, client: str = FOUR, mail_from: bytes = b"bob@example.org", trace: Trace | None = None
) -> SpfResult:
    outcome = evaluate(subject(client, mail_from), lambda name, rdtype: answer(zone, name, rdtype), trace)
    assert isinstance(outcome, SpfResult)
    return outcome


def published(record: str, **more: Items) -> Zone:
    """A zone with *record* at example.org, and *more* below it."""
    return {
        "example.org": [{"TXT": record}],
        **{f"{name.replace('_', '-')}.example.org": items for name, items in more.items()},
    }


HOST4: Items = [{"A": FOUR}]
ONLY4: Items = [{"A": "203.0.113.1"}]


@pytest.mark.parametrize(
    ("zone", "client", "verdict"),
    [
        # An IPv6 client, and hosts that have IPv4 alone: nothing void.
        (published("v=spf1 a:a.example.org a:b.example.org a:c.example.org ip6:2001:db8::/32 -all",
                   a=ONLY4, b=ONLY4, c=ONLY4), SIX, "pass"),
        # Hosts that do not exist, whatever the client.
        (published("v=spf1 a:a.example.org a:b.example.org a:c.example.org ip6:2001:db8::/32 -all"), SIX, "permerror"),
        (published("v=spf1 a:a.example.org a:b.example.org a:c.example.org ip4:192.0.2.1 -all"), FOUR, "permerror"),
        (published("v=spf1 a:a.example.org a:b.example.org ip4:192.0.2.1 -all"), FOUR, "pass"),
        # The same question again finds nothing again, without being asked.
        (published("v=spf1 a:a.example.org a:a.example.org a:a.example.org ip4:192.0.2.1 -all"), FOUR, "pass"),
        # Unknown modifiers, as often as they like; known ones once, however they are written (§6).
        (published("v=spf1 x=1 x=2 op=auth default=pass moo= -all"), FOUR, "fail"),
        (published("v=spf1 x=%{} -all"), FOUR, "permerror"),
        (published("v=spf1 Redirect=a.example.org", a=[{"TXT": "v=spf1 +all"}]), FOUR, "pass"),
        (published("v=spf1 redirect=a.example.org REDIRECT=a.example.org", a=[{"TXT": "v=spf1 +all"}]),
         FOUR, "permerror"),
        (published("v=spf1 Exp=a.example.org EXP=a.example.org -all"), FOUR, "permerror"),
        (published("V=SPF1 +ALL"), FOUR, "pass"),
        # Errors in the client's own reverse zone are no errors of the sender (§5.5).
        ({**published("v=spf1 ptr ?all"), "1.2.0.192.in-addr.arpa": ["TIMEOUT"]}, FOUR, "neutral"),
        ({**published("v=spf1 ptr ?all", a=["TIMEOUT"], b=HOST4),
          "1.2.0.192.in-addr.arpa": [{"PTR": "A.Example.org"}, {"PTR": "B.Example.org"}]}, FOUR, "pass"),
        ({**published("v=spf1 exists:%{p}.example.org -all"), "1.2.0.192.in-addr.arpa": ["TIMEOUT"]}, FOUR, "fail"),
        # Numbers that are none, names that are none.
        (published("v=spf1 a/33 -all"), FOUR, "permerror"),
        (published("v=spf1 a/" + "1" * 5000 + " -all"), FOUR, "permerror"),
        (published("v=spf1 ip4:192.0.2.0/0 -all"), FOUR, "pass"),
        (published("v=spf1 ip6:2001:db8::/0 -all"), SIX, "pass"),
        (published("v=spf1 ip6:::ffff:192.0.2.1 -all"), FOUR, "fail"),
        (published("v=spf1 a:" + "a" * 64 + ".example.org ?all"), FOUR, "neutral"),
        (published("v=spf1 mx ?all"), FOUR, "neutral"),
        ({"example.org": [{"TXT": "v=spf1 mx -all"}, {"MX": (0, "")}]}, FOUR, "fail"),
        ({"example.org": [{"TXT": "v=spf1 mx -all"}, *({"MX": (n, f"m{n}.example.org")} for n in range(11))]},
         FOUR, "permerror"),
        # Time-outs of what is not needed do no harm.
        (published("v=spf1 ip4:192.0.2.1 a:a.example.org -all", a=["TIMEOUT"]), FOUR, "pass"),
        (published("v=spf1 a:a.example.org ip4:192.0.2.1 -all", a=["TIMEOUT"]), FOUR, "temperror"),
        (published("v=spf1 " + "a " * MAX_TERMS), FOUR, "permerror"),
        (published("v=spf1 include:example.org -all"), FOUR, "permerror"),
        (published("v=spf1 include:a.example.org -all", a=[{"TXT": "v=spf1 include:example.org -all"}]),
         FOUR, "permerror"),
        (published("v=spf1 redirect=example.org"), FOUR, "permerror"),
        # A record that includes itself is in error for those alone who come to that (§4.6, §4.6.4).
        (published("v=spf1 ip4:192.0.2.1 include:example.org -all"), FOUR, "pass"),
        (published("v=spf1 ip4:192.0.2.1 ?include:%{d} -all"), FOUR, "pass"),
        (published("v=spf1 ip4:203.0.113.1 -include:%{d} -all"), FOUR, "permerror"),
        (published("v=spf1 ip4:192.0.2.1 include -all"), FOUR, "permerror"),
        (published("v=spf1 ip4:192.0.2.1 +include -all"), FOUR, "permerror"),
        # What stands behind the exchange that matches is not looked up.
        ({"example.org": [{"TXT": "v=spf1 mx -all"}, {"MX": (1, "a.example.org")}, {"MX": (2, "b.example.org")}],
          "a.example.org": HOST4, "b.example.org": ["TIMEOUT"]}, FOUR, "pass"),
        ({"example.org": [{"TXT": "v=spf1 mx -all"}, {"MX": (2, "a.example.org")}, {"MX": (1, "b.example.org")}],
          "a.example.org": HOST4, "b.example.org": ["TIMEOUT"]}, FOUR, "temperror"),
        # A redirect costs a look-up where it is followed, and nothing where it is not (§4.6.4).
        (published("v=spf1 " + "a:a.example.org " * 9 + "a:b.example.org redirect=c.example.org", a=ONLY4, b=HOST4),
         FOUR, "pass"),
        (published("v=spf1 " + "a:a.example.org " * 9 + "redirect=c.example.org", a=ONLY4,
                   c=[{"TXT": "v=spf1 +all"}]), FOUR, "pass"),
        (published("v=spf1 " + "a:a.example.org " * 10 + "redirect=c.example.org", a=ONLY4,
                   c=[{"TXT": "v=spf1 +all"}]), FOUR, "permerror"),
        (published("v=spf1 " + "a:a.example.org " * 10 + "+all", a=ONLY4), FOUR, "pass"),
        (published("v=spf1 " + "a:a.example.org " * 11 + "+all", a=ONLY4), FOUR, "permerror"),
    ],
)  # fmt: skip
def test_verdicts(zone: Zone, client: str, verdict: str) -> None:
    result = evaluated(zone, client)
    assert (result.verdict, result.fault) == (verdict, "")


@pytest.mark.parametrize(
    ("record", "explanation"),
    [
        ("Ask %{c}: %{d}, %{s}, %{r}, %{t}", "Ask 192.0.2.1: example.org, bob@example.org, mx.example.nl, 1700000000"),
        ("one\r\n550 two\x00\tthree", "one 550 two three"),
        ("x" * 5000, "x" * MAX_TEXT),
        ("%{x}", ""),
        ("%", ""),
        ("é", ""),
    ],
)  # fmt: skip
def test_explanations(record: str, explanation: str) -> None:
    zone = published("v=spf1 -all exp=why.%{d}", why=[{"TXT": record}])
    assert evaluated(zone).explanation == explanation


@pytest.mark.parametrize("verdict", ["?all", "~all", "+all"])
def test_no_explanation_is_asked_for_unless_the_check_fails(verdict: str) -> None:
    asked: list[str] = []
    zone = published(f"v=spf1 {verdict} exp=why.example.org")

    def answers(name: str, rdtype: str) -> Answer:
        asked.append(name)
        return answer(zone, name, rdtype)

    assert isinstance(evaluate(subject(), answers), SpfResult)
    assert asked == ["example.org"]


def test_the_result_tells_what_was_found() -> None:
    record = "v=spf1 a:a.example.org include:b.example.org -all"
    result = evaluated(published(record, b=[{"TXT": "v=spf1 ip4:192.0.2.0/24 -all"}]))
    assert result == SpfResult(
        Verdict.PASS,
        result.identity,
        "example.org",
        "include:b.example.org",
        record,
        lookups=2,
        void_lookups=1,
    )


def test_local_parts_that_are_no_ascii_match_nothing() -> None:
    zone = published("v=spf1 exists:%{l}.example.org -all")
    zone = {**zone, "ü.example.org": [{"A": "127.0.0.2"}]}
    for sender in ("ü@example.org".encode(), b"\xff@example.org"):
        assert evaluated(zone, mail_from=sender).verdict is Verdict.FAIL


def test_what_is_missing_is_told_with_what_will_be() -> None:
    record = b"v=spf1 include:A.example.org include:%{d}.x ?include:b.example.org a -all"
    known: dict[tuple[str, str], Answer] = {}

    def ask() -> Missing | SpfResult:
        return evaluate(subject(), lambda name, rdtype: known.get((name, rdtype)))

    assert ask() == Missing(("example.org", "TXT"), (), 0)
    known["example.org", "TXT"] = Answer(Outcome.FOUND, (record,))
    assert ask() == Missing(("a.example.org", "TXT"), (("b.example.org", "TXT"),), 6)
    known["a.example.org", "TXT"] = Answer(Outcome.FOUND, (b"v=spf1 mx",))
    known["b.example.org", "TXT"] = Answer(Outcome.FOUND, (b"v=spf1 ?all",))
    assert ask() == Missing(("a.example.org", "MX"), (), 8)
    known["a.example.org", "MX"] = Answer(Outcome.FOUND, ((5, "M5.example.org"), (1, "m1.example.org")))
    missing = ask()
    assert isinstance(missing, Missing)
    assert (missing.needed, missing.foreseen) == (("m1.example.org", "A"), (("m5.example.org", "A"),))


def test_includes_are_not_foreseen_beyond_their_number() -> None:
    """Ten exchanges are enough: a record that comes after them can name hundreds of others."""
    exchanges = [f"m{number}.example.org" for number in range(10)]
    many = " ".join(f"include:i{number}.example.org" for number in range(100))
    zone: Zone = {
        "example.org": [
            {"TXT": "v=spf1 mx include:a.example.org"},
            *({"MX": (1, name)} for name in exchanges),
        ],
        "a.example.org": [{"TXT": f"v=spf1 {many}"}],
        **dict.fromkeys(exchanges, ONLY4),
    }
    known: dict[tuple[str, str], Answer] = {}
    foreseen: set[str] = set()
    while isinstance(outcome := evaluate(subject(), lambda *question: known.get(question)), Missing):
        foreseen.update(name for name, rdtype in outcome.foreseen if rdtype == "TXT")
        if outcome.needed[0] == "i0.example.org":
            break
        known[outcome.needed] = answer(zone, *outcome.needed)
    assert isinstance(outcome, Missing)
    assert foreseen == {"a.example.org"}


@pytest.mark.parametrize(
    "record",
    [
        "ip4:10.0.0.1 " * 4900,
        "ip6:2001:db8:1::/48 " * 3000,
        "a " * 4900,
        "x=y " * 4900,
        "exists:" + "a." * 32_000 + "com",
        "exists:a." + "a" * 64_000 + "!",
        "exists:%{d}." + "." * 64_000,
        "exists:%{l" + "." * 64_000 + "}.com",
        "a" + "/1" * 32_000,
        "ip6:" + "1:" * 32_000,
        "-all exp=" + "a." * 32_000 + "com",
    ],
    ids=lambda record: record[:12],
)
def test_long_records_take_bounded_time(record: str) -> None:
    zone = published("v=spf1 " + record)
    started = time.process_time()
    assert evaluated(zone).fault == ""
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize("macro", ["%{l}", "%{l1r.-+,/_=}"])
def test_terms_full_of_macros_take_bounded_time(macro: str) -> None:
    """A term for each of 64 kB would be few, and dear: the check is begun again for each answer that comes in."""
    text = (
        "v=spf1 " + " ".join(f"x{number}=" + macro * (6000 // len(macro)) for number in range(10)) + " ?all"
    )
    zone = published(" ".join(["v=spf1", *(f"include:{name}.example.org" for name in "abcdefghi")]))
    zone = {**zone, **{f"{name}.example.org": [{"TXT": text}] for name in "abcdefghi"}}
    result = evaluated(zone)
    assert result.verdict is Verdict.PERMERROR
    assert result.problem.startswith("More than 5000 terms")


def test_a_trace_tells_what_matched() -> None:
    zone = {
        **published(
            "v=spf1 ip4:10.0.0.1 include:a.example.org exists:b.example.org ?ptr:c.example.org mx:d.example.org"
            " redirect=e.example.org",
            a=[{"TXT": "v=spf1 ?all"}],
            e=[{"TXT": "v=spf1 ?ip4:10.0.0.1 ?ip4:192.0.2.0/24 -all"}],
        ),
        "d.example.org": [{"MX": (1, "f.example.org")}],
        "f.example.org": [{"A": "10.0.0.1"}],
    }
    trace = Trace()
    assert evaluated(zone, trace=trace).verdict is Verdict.NEUTRAL
    terms = [(step.text, step.lookup, step.matched) for step in trace.steps if isinstance(step, Term)]
    assert terms == [
        ("ip4:10.0.0.1", 0, False),
        ("include:a.example.org", 1, False),
        ("?all", 0, True),
        ("exists:b.example.org", 2, False),
        ("?ptr:c.example.org", 3, False),
        ("mx:d.example.org", 4, False),
        ("?ip4:10.0.0.1", 0, False),
        ("?ip4:192.0.2.0/24", 0, True),
    ]


_WORDS = st.sampled_from(
    ["v=spf1", "a", "mx", "ptr", "all", "-all", "~all", "?all", "include:", "exists:", "redirect=", "exp=", "ip4:",
     "ip6:", "192.0.2.1", "2001:db8::1", "/24", "//64", "%{d}", "%{ir}", "%{p}", "%{l1r-}", "%%", "%", ".", " ", ":",
     "example.org", "a.example.org", "x=", "moo", "\x00", "\xff", "10.0.0.0/33", "0" * 5000]
)  # fmt: skip
_RECORDS = st.one_of(st.lists(_WORDS, max_size=12).map(" ".join), st.lists(_WORDS, max_size=20).map("".join))
_NAMES = ("example.org", "a.example.org", "mx.example.org", "1.2.0.192.in-addr.arpa")


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from(_NAMES), _RECORDS.map(lambda text: "v=spf1 " + text), min_size=1),
    st.binary(max_size=20),
    st.binary(max_size=20),
    st.sampled_from([FOUR, SIX]),
    st.sampled_from(["TIMEOUT", {"A": FOUR}, {"PTR": "a.example.org"}, {"MX": (1, "a.example.org")}]),
)
def test_nothing_is_raised_and_nothing_breaks(
    records: Mapping[str, str], local_part: bytes, helo: bytes, client: str, other: Any
) -> None:
    zone = {name: [{"TXT": text}, other] for name, text in records.items()}
    sender = subject(client, local_part + b"@example.org", helo)

    def answers(name: str, rdtype: str) -> Answer:
        return answer(zone, name, rdtype)

    result = evaluate(sender, answers)
    assert isinstance(result, SpfResult)
    assert result.fault == ""
    for text in (result.mechanism, result.explanation, result.problem):
        assert len(text) <= MAX_TEXT
        assert text.isascii()
        assert text.isprintable()
    assert evaluate(sender, answers, Trace()) == result


def test_a_fault_of_our_own_is_a_temporary_error() -> None:
    def broken(name: str, rdtype: str) -> Answer:
        raise RuntimeError("as the test says")

    result = evaluate(subject(), broken)
    assert isinstance(result, SpfResult)
    assert (result.verdict, result.fault) == (Verdict.TEMPERROR, "RuntimeError: as the test says")
