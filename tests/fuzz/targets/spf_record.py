"""SPF records, evaluated (``gatepost.spf.replay``, ``macros``): any records, any sender.

- Nothing is raised, and nothing fails in itself (``fault``): whatever the records say is a result by the RFC.
- Terms, look-ups and void look-ups stay within their limits; texts are printable ASCII of bounded length.
- An evaluation that is run again comes to the same; one that lacks an answer asks for a name that the DNS can carry.
- So it does where outcomes are kept, for this mail and for another one of the same client and domain.
"""

from __future__ import annotations

from dataclasses import replace

import spf

from gatepost.dns.answer import Answer, Outcome
from gatepost.networks import parse_address
from gatepost.spf.identity import NoIdentityError, sender_of
from gatepost.spf.outcomes import Outcomes
from gatepost.spf.query import MAX_TERMS
from gatepost.spf.questions import MAX_VOID_LOOKUPS
from gatepost.spf.replay import Missing, evaluate
from gatepost.spf.result import MAX_TEXT, SpfResult
from gatepost.spf.subject import Subject
from gatepost.spf.trace import Trace
from tests.fuzz.tape import Tape, counted
from tests.fuzz.told import check_told

_CLIENTS = ("192.0.2.10", "2001:db8::1")


def _seed(client: int, helo: bytes, mail_from: bytes, *records: bytes) -> bytes:
    return (
        bytes([client]) + counted(helo) + counted(mail_from) + b"".join(counted(record) for record in records)
    )


SEEDS = (
    _seed(0, b"mx.example.org", b"anna@example.nl", b"v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all"),
    _seed(
        0,
        b"mx",
        b"a@b.nl",
        b"v=spf1 include:_a.b.nl a/24//64 mx:c.nl ptr exists:%{i}._e.%{d2} ?all",
        b"v=spf1 -all",
    ),
    _seed(
        1,
        b"mx",
        b"a@b.nl",
        b"v=spf1 redirect=%{l1r-+}.%{o}.nl exp=e.%{d}",
        b"v=spf1 +all",
        b"why %{c} %{r} %{t}",
    ),
    _seed(0, b"mx", b"", b"v=spf1 a:%{h} mx -all"),
    _seed(0, b"mx", b"a@b.nl", b"v=spf1 ipv4:1 x=%{ a/33 ip4:1.2.3.4/99 all:x"),
    _seed(0, b"mx", b"a@b.nl", b"v=spf1 include:b.nl"),
    _seed(0, b"mx", b"a@b.nl", b"v=spf1", b"v=spf1 -all"),
    _seed(1, b"\xff", '"a@b"@m\u00fcller.example'.encode(), b"v=spf1 exists:%{S}.%{L}.%{p} -all"),
)
WORDS = (
    b"v=spf1 ", b" ip4:", b" ip6:", b" a:", b" mx:", b" include:", b" exists:", b" redirect=", b" exp=", b" ptr",
    b" -all", b" ~all", b"%{i}", b"%{s}", b"%{d", b"%{h}", b"%{p}", b"r.-}", b"/0", b"//128", b"%%", b"%_", b"x=",
)  # fmt: skip


def check(data: bytes) -> None:
    tape = Tape(data)
    client = parse_address(_CLIENTS[tape.number(2)])
    assert client is not None
    helo, mail_from = tape.octets(), tape.octets()
    records: list[bytes] = []
    while tape and len(records) < 12:
        records.append(tape.octets())
    try:
        sender = sender_of(helo, mail_from)
    except NoIdentityError as error:
        check_told(error)
        return
    subject = Subject(client, sender, "mail.example.nl", 1_700_000_000.0)
    asked: dict[tuple[str, str], Answer] = {}

    def answers(name: str, rdtype: str) -> Answer:
        """One record after the other for TXT, in the order of the questions; hosts by their first letter."""
        assert 0 < len(name) <= 253
        assert name.isascii()
        answer = asked.get((name, rdtype))
        if answer is None:
            answer = asked[name, rdtype] = _made(name, rdtype, records, len(asked))
        return answer

    result = evaluate(subject, answers)
    assert isinstance(result, SpfResult)
    _check_result(result)
    trace, outcomes = Trace(), Outcomes()
    assert evaluate(subject, answers, trace) == result
    another = Subject(client, replace(sender, local_part="eve+x", helo="b.example"), "mx.example.nl", 1.0)
    for each in (subject, another):
        expected = evaluate(each, answers)
        assert [evaluate(each, answers, outcomes=outcomes) for _ in range(2)] == [expected] * 2
    lacking = evaluate(subject, lambda name, rdtype: None)
    if isinstance(lacking, Missing):
        assert lacking.needed in asked
        assert lacking.terms <= MAX_TERMS
    else:
        assert lacking == result


def _check_result(result: SpfResult) -> None:
    assert not result.fault, result.fault
    assert result.lookups <= spf.MAX_LOOKUP + 1
    assert result.void_lookups <= MAX_VOID_LOOKUPS + 1
    for text in (result.mechanism, result.explanation, result.problem):
        assert len(text) <= MAX_TEXT
        assert all(" " <= char <= "~" for char in text)


def _made(name: str, rdtype: str, records: list[bytes], count: int) -> Answer:
    if rdtype == "TXT":
        if count >= len(records):
            return Answer(Outcome.NXDOMAIN)
        return Answer(Outcome.FOUND, tuple(records[count].split(b"\0\0")))
    letter = ord(name[0]) % 8
    if letter == 0:
        return Answer(Outcome.NXDOMAIN)
    if letter == 1:
        return Answer(Outcome.TIMEOUT, detail="no answer")
    if letter == 2:
        return Answer(Outcome.NODATA)
    match rdtype:
        case "A":
            return Answer(Outcome.FOUND, ("192.0.2.10", "198.51.100.1")[: letter % 3 or 1])
        case "AAAA":
            return Answer(Outcome.FOUND, ("2001:db8::1",))
        case "MX":
            hosts = tuple((10 * n, f"mx{n}.{name}"[:250]) for n in range(3 * letter))
            return Answer(Outcome.FOUND, hosts) if hosts else Answer(Outcome.NODATA)
        case _:
            return Answer(Outcome.FOUND, (name, f"x.{name}"[:250]))
