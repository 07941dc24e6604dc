from __future__ import annotations

import itertools

import dns.message
import dns.name
import dns.rdatatype
import pytest

from gatepost.dns import names
from gatepost.dns.answer import Outcome
from gatepost.dns.response import MAX_ALIASES, AliasError, Response, read

SOA = "example.org. 900 IN SOA ns.example.org. root.example.org. 1 2 3 4 60"
SHORT_SOA = "example.org. 30 IN SOA ns.example.org. root.example.org. 1 2 3 4 60"
FOREIGN_SOA = "example.com. 900 IN SOA ns.example.com. root.example.com. 1 2 3 4 60"
NS = "org. 900 IN NS a.example.net."


def response(
    answer: list[str],
    authority: list[str],
    rcode: str = "NOERROR",
    flags: str = "QR RD RA",
    rdtype: str = "TXT",
) -> Response:
    text = [
        "id 1",
        "opcode QUERY",
        f"rcode {rcode}",
        f"flags {flags}",
        ";QUESTION",
        f"a.example.org. IN {rdtype}",
    ]
    text += [";ANSWER", *answer, ";AUTHORITY", *authority]
    message = dns.message.from_text("\n".join(text), one_rr_per_rrset=True)
    return read(message, names.parse("a.example.org"), dns.rdatatype.from_text(rdtype))


@pytest.mark.parametrize(
    ("rdtype", "records", "values"),
    [
        ("TXT", ['"v=1; " "p=x"', '"\\000\\255"', '""'], (b"v=1; p=x", b"\x00\xff", b"")),
        ("A", ["192.0.2.2", "192.0.2.1"], ("192.0.2.2", "192.0.2.1")),
        ("AAAA", ["2001:DB8:0::1"], ("2001:db8::1",)),
        ("MX", ["10 Mail.example.org.", "0 ."], ((10, "Mail.example.org"), (0, ""))),
        ("PTR", ["mail.example.org.", "b\\010\\.c.org."], ("mail.example.org", r"b\010\.c.org")),
        ("CNAME", ["b.example.org."], ("b.example.org",)),
    ],
)
def test_values_by_type(rdtype: str, records: list[str], values: tuple[object, ...]) -> None:
    got = response([f"a.example.org. 300 IN {rdtype} {each}" for each in records], [], rdtype=rdtype)
    assert (got.outcome, got.records, got.ttl) == (Outcome.FOUND, values, 300)


@pytest.mark.parametrize(
    ("answer", "authority", "rcode", "outcome", "ttl", "open_ended"),
    [
        (["a.example.org. 300 IN TXT x"], [], "NOERROR", Outcome.FOUND, 300, False),
        (["A.EXAMPLE.ORG. 300 IN TXT x"], [], "NOERROR", Outcome.FOUND, 300, False),
        (["b.example.org. 300 IN TXT x"], [], "NOERROR", Outcome.NODATA, 0, False),
        (["a.example.org. 300 CH TXT x"], [SOA], "NOERROR", Outcome.NODATA, 60, False),
        # The least TTL of the chain, in whichever order it stands.
        (
            ["a.example.org. 20 IN CNAME b.example.org.", "b.example.org. 300 IN TXT x"],
            [], "NOERROR", Outcome.FOUND, 20, False,
        ),
        (
            ["b.example.org. 30 IN TXT x", "a.example.org. 200 IN CNAME b.example.org."],
            [], "NOERROR", Outcome.FOUND, 30, False,
        ),
        # RFC 2308 §5: the lesser of the SOA's TTL and its minimum.
        ([], [SOA], "NOERROR", Outcome.NODATA, 60, False),
        ([], [SHORT_SOA], "NXDOMAIN", Outcome.NXDOMAIN, 30, False),
        ([], [SOA], "NXDOMAIN", Outcome.NXDOMAIN, 60, False),
        ([], [], "NXDOMAIN", Outcome.NXDOMAIN, 0, False),
        ([], [FOREIGN_SOA], "NXDOMAIN", Outcome.NXDOMAIN, 0, False),
        ([], [], "NOERROR", Outcome.NODATA, 0, False),
        ([], [SOA, NS], "NOERROR", Outcome.NODATA, 60, False),
        ([], [NS], "NOERROR", Outcome.SERVFAIL, 0, False),
        (["a.example.org. 20 IN CNAME b.example.org."], [SOA], "NXDOMAIN", Outcome.NXDOMAIN, 20, False),
        (["a.example.org. 90 IN CNAME b.example.org."], [SOA], "NOERROR", Outcome.NODATA, 60, False),
        (["a.example.org. 90 IN CNAME b.example.com."], [SOA], "NOERROR", Outcome.NODATA, 90, True),
        (["a.example.org. 90 IN CNAME b.example.com."], [NS], "NOERROR", Outcome.NODATA, 90, True),
        (["a.example.org. 300 IN TXT x"], [], "NXDOMAIN", Outcome.SERVFAIL, 0, False),
        ([], [], "SERVFAIL", Outcome.SERVFAIL, 0, False),
        ([], [], "REFUSED", Outcome.SERVFAIL, 0, False),
        ([], [SOA], "YXDOMAIN", Outcome.SERVFAIL, 0, False),
    ],
)  # fmt: skip
def test_outcomes(
    answer: list[str], authority: list[str], rcode: str, outcome: Outcome, ttl: int, open_ended: bool
) -> None:
    got = response(answer, authority, rcode)
    assert (got.outcome, got.ttl, got.open_ended) == (outcome, ttl, open_ended)
    assert bool(got.detail) is (outcome is Outcome.SERVFAIL)


@pytest.mark.parametrize(("flags", "authentic"), [("QR RD RA AD", True), ("QR AA RD RA CD", False)])
def test_the_ad_bit(flags: str, authentic: bool) -> None:
    assert response(["a.example.org. 300 IN TXT x"], [], flags=flags).authentic is authentic
    assert response([], [SOA], "NXDOMAIN", flags=flags).authentic is authentic


def chain(links: int) -> list[str]:
    owners = ["a", *(f"c{link}" for link in range(links))]
    cnames = [f"{one}.example.org. 9 IN CNAME {two}.example.org." for one, two in itertools.pairwise(owners)]
    return [*cnames, f"{owners[-1]}.example.org. 9 IN TXT x"]


def test_a_chain_may_be_so_long() -> None:
    got = response(chain(MAX_ALIASES), [])
    assert got.records == (b"x",)
    assert len(got.aliases) == MAX_ALIASES


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (chain(MAX_ALIASES + 1), "more than 8"),
        (["a.example.org. 9 IN CNAME A.example.org."], "loop"),
        (["a.example.org. 9 IN CNAME b.", "b. 9 IN CNAME c.", "c. 9 IN CNAME B."], "loop"),
    ],
)
def test_chains_that_lead_nowhere(answer: list[str], what: str) -> None:
    with pytest.raises(AliasError, match=what):
        response(answer, [])


def test_equal_records_stay_as_many_as_they_are() -> None:
    answer = ['a.example.org. 300 IN TXT "v=DMARC1; p=none"'] * 2
    assert response(answer, []).records == (b"v=DMARC1; p=none",) * 2
