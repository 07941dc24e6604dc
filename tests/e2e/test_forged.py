"""Results that a sender wrote under our name are gone from the delivered mail, however they were dressed up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import BERT, FRIEND, RESULTS, message, records_of, zone_of
from tests.harness.daemon import Daemon, Installation
from tests.harness.delivery import Delivery
from tests.harness.dns_server import DnsServer
from tests.harness.keys import KeyPair, rsa_key
from tests.harness.layouts import Layout, layout_a, layout_b, layout_c
from tests.harness.opendkim import OpenDkim
from tests.harness.ports import LOOPBACK
from tests.harness.server import Connection, Server

LIE = b"dkim=pass header.d=bank.example"

FORGERIES: Mapping[str, bytes] = {
    "plain": b"Authentication-Results: mail.example.nl; " + LIE,
    "name in odd case": b"aUTHENTICATION-rESULTS: mail.example.nl; " + LIE,
    "id in odd case": b"Authentication-Results: MAIL.Example.NL; " + LIE,
    "no space": b"Authentication-Results:mail.example.nl;" + LIE,
    "tabs": b"Authentication-Results:\t\tmail.example.nl\t;\t" + LIE,
    "folded": b"Authentication-Results:\r\n mail.example.nl;\r\n\t" + LIE,
    "folded behind the id": b"Authentication-Results: mail.example.nl\r\n ;" + LIE,
    "a line of white space": b"Authentication-Results: \r\n \t \r\n mail.example.nl; " + LIE,
    "a comment": b"Authentication-Results: (by us) mail.example.nl; " + LIE,
    "nested comments": b"Authentication-Results: (a (b \\) c) d)\r\n (e)mail.example.nl(f); " + LIE,
    "quotes": b'Authentication-Results: "mail.example.nl"; ' + LIE,
    "quoted pairs": b'Authentication-Results: "mail\\.example.n\\l"; ' + LIE,
    "a version": b"Authentication-Results: mail.example.nl 1; " + LIE,
    "another version": b"Authentication-Results: mail.example.nl (x) 99 ; " + LIE,
    "a final dot": b"Authentication-Results: mail.example.nl.; " + LIE,
    "parted by a comment": b"Authentication-Results: mail.(x)example.nl; " + LIE,
    "an alias": b"Authentication-Results: mx.example.nl; " + LIE,
    "an alias in U-labels": "Authentication-Results: bücher.example.nl; ".encode() + LIE,
    "an alias in A-labels": b"Authentication-Results: xn--bcher-kva.example.nl; " + LIE,
    "eight bits": b"Authentication-Results: mail.example.nl\xa0; " + LIE,
    "no id at all": b"Authentication-Results: ; " + LIE,
    "an open quote": b'Authentication-Results: "mail.example.nl; ' + LIE,
    "an open comment": b"Authentication-Results: (mail.example.nl; " + LIE,
    "nothing": b"Authentication-Results:",
    "60 kB of results": b"Authentication-Results: mail.example.nl; "
    + LIE
    + b"".join(b";\r\n\tdkim=pass header.d=%04d.bank.example" % n for n in range(1500)),
    "60 kB of comments": b"Authentication-Results:"
    + b"\r\n (%b)" % (b"x" * 60) * 900
    + b" mail.example.nl; "
    + LIE,
    "one line of 60 kB": b"Authentication-Results: mail.example.nl; " + LIE + b" (" + b"x" * 60_000 + b")",
    "a seal of nobody": b"Authentication-Results: mail.example.nl; "
    + LIE
    + b" (gatepost-seal v1 t=1795225498 m=AAAAAAAAAAAAAAAAAAAAAA)",
}

FOREIGN = [f"mx{number}.example.org; dkim=pass header.d=n{number}.example.org" for number in range(31)]

PREPENDED = "spf.example.com; spf=pass smtp.mailfrom=example.org"


NONE = "mail.example.nl; dkim=none"


def results(delivery: Delivery) -> list[str]:
    """The Authentication-Results of a mail, each on one line."""
    return [" ".join(value.split()) for value in delivery.values(RESULTS)]


class Policy(Server):
    """A policy service that prepends a header field to every mail."""

    def __init__(self, field: str) -> None:
        super().__init__()
        self.service = f"inet:{LOOPBACK}:{self.port}"
        self._field = field

    def handle(self, connection: Connection) -> None:
        """Answer the requests of one smtpd."""
        while True:
            while connection.line() != b"\n":
                pass
            connection.send(f"action=PREPEND {self._field}\n\n".encode())


@dataclass(frozen=True)
class Site:
    """A layout with a verifier in it, the results of others that each mail gets there, and the world's key."""

    layout: Layout
    verifier: Daemon
    others: set[str]
    theirs: KeyPair

    def arrived(self, octets: bytes, recipient: str) -> Delivery:
        """A mail from the world, as it was delivered."""
        self.layout.receive(octets, FRIEND, [recipient], "BODY=8BITMIME")
        [delivery] = self.layout.postfix.wait_for_delivery(recipient)
        return delivery

    def ours(self, delivery: Delivery) -> list[str]:
        """The results that no other verifier wrote."""
        return [value for value in results(delivery) if value.partition(";")[0] not in self.others]


@pytest.fixture(scope="module", params=["A", "B", "C", "A behind a policy service", "C among milters"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("site")
    theirs, kind = rsa_key("example.org"), request.param
    with ExitStack() as running:
        dns = running.enter_context(DnsServer(zone_of([theirs])))
        # Without a second pass nobody would take the seals off.
        section = {"verify_local": True, "seal": kind.startswith("A")}
        common = {
            "authserv_aliases": ["mx.example.nl", "bücher.example.nl"],
            "dns": {"nameservers": [dns.address]},
        }
        gatepost = running.enter_context(Installation(directory, {"dkim-verify": section}, common))
        verify = gatepost["dkim-verify"].milter
        others: set[str] = set()
        if kind == "A":
            layout = layout_a(border=[verify], inward=[verify])
        elif kind == "B":
            layout = layout_b(inward=[verify])
        elif kind == "C":
            layout = layout_c(milters=[verify])
        elif kind == "A behind a policy service":
            others = {"spf.example.com"}
            policy = running.enter_context(Policy(f"{RESULTS}: {PREPENDED}"))
            layout = layout_a(border=[verify], inward=[verify], policy=[policy.service])
        else:
            others = {"first.example.com", "last.example.com"}
            first, last = (
                running.enter_context(OpenDkim(directory / name, records={}, authserv_id=name))
                for name in sorted(others)
            )
            layout = layout_c(milters=[first.milter, verify, last.milter])
        yield Site(running.enter_context(layout), gatepost["dkim-verify"], others, theirs)


def test_forgeries_are_gone(site: Site) -> None:
    left = {}
    for name, field in FORGERIES.items():
        octets = field + b"\r\n" + message(FRIEND, BERT)
        delivery = site.arrived(octets, f"{name.replace(' ', '-')}@example.nl")
        assert delivery.octets.endswith(message(FRIEND, BERT))
        assert {value.partition(";")[0] for value in delivery.values(RESULTS)} >= site.others
        left[name] = (site.ours(delivery), b"bank.example" in delivery.octets)
    assert left == {name: ([NONE], False) for name in FORGERIES}


def test_thirty_forgeries_go_and_what_stands_between_them_stays_in_order(site: Site) -> None:
    lies = [field for field in FORGERIES.values() if len(field) < 500] * 2
    mixed = [(RESULTS, FOREIGN[0]), ("Received", "by mx.example.org")]
    octets = b"".join(
        f"{RESULTS}: {value}\r\n".encode() + lie + b"\r\n"
        for value, lie in zip(FOREIGN[1:], lies, strict=False)
    )
    delivery = site.arrived(octets + message(FRIEND, BERT, *mixed), "thirty@example.nl")
    found = site.ours(delivery)
    assert found == [NONE, *FOREIGN[1:], FOREIGN[0]]
    assert any("fields_removed=30" in line for line in site.verifier.log().splitlines())


def test_a_mail_that_comes_by_twice_is_stamped_once(site: Site) -> None:
    signed = site.theirs.sign(message(FRIEND, BERT))
    delivery = site.arrived(FORGERIES["a comment"] + b"\r\n" + signed, "twice@example.nl")
    [field] = site.ours(delivery)
    assert "dkim=pass" in field
    assert "header.d=example.org" in field
    assert b"gatepost-seal" not in delivery.octets


def test_what_a_policy_service_writes_in_our_name_without_a_seal_is_no_better(tmp_path: Path) -> None:
    with (
        Policy(f"{RESULTS}: mail.example.nl; {LIE.decode()}") as policy,
        Installation(tmp_path, {"dkim-verify": {"seal": False}}) as gatepost,
        layout_c(milters=[gatepost["dkim-verify"].milter], policy=[policy.service]) as layout,
    ):
        layout.receive(message(FRIEND, BERT), FRIEND, [BERT])
        [delivery] = layout.postfix.wait_for_delivery(BERT)
    assert results(delivery) == [NONE]


def test_the_last_verifier_takes_the_seals_off_and_none_before_it(tmp_path: Path) -> None:
    verifiers: dict[str, dict[str, Any]] = {"dkim-verify": {}, "last": {"kind": "dkim-verify"}}
    with Installation(tmp_path, verifiers) as gatepost:
        first, last = gatepost["dkim-verify"].milter, gatepost["last"].milter
        with layout_a(border=[first]) as border_only, layout_a(border=[first], inward=[last]) as both:
            for layout in (border_only, both):
                layout.receive(message(FRIEND, BERT), FRIEND, [BERT])
            [sealed] = results(border_only.postfix.wait_for_delivery(BERT)[0])
            [unsealed] = results(both.postfix.wait_for_delivery(BERT)[0])
            # A seal that has got out is worth nothing at the border, even on the very same mail.
            both.receive(message(FRIEND, BERT, (RESULTS, sealed)), FRIEND, ["copied@example.nl"])
            [copied] = results(both.postfix.wait_for_delivery("copied@example.nl")[0])
    assert "gatepost-seal" in sealed
    assert (unsealed, copied) == (NONE,) * 2
    assert "fields_removed=1" in gatepost["dkim-verify"].log()


@pytest.mark.parametrize(
    ("believe", "verify_local", "writers"),
    [
        # Believed: OpenDKIM's result stays, and the mail is not verified again.
        (["127.0.0.0/8"], True, ["opendkim"]),
        # Not believed: it is no better than forged. We verify what comes from the filter, or nobody does.
        ([], True, ["gatepost"]),
        ([], False, []),
        # What is believed from elsewhere is not believed from the filter.
        (["192.0.2.0/24"], True, ["gatepost"]),
    ],
)
def test_what_an_opendkim_at_the_border_writes_in_our_name(
    tmp_path: Path, believe: list[str], verify_local: bool, writers: list[str]
) -> None:
    theirs = rsa_key("example.org")
    section = {"seal": False, "verify_local": verify_local}
    with (
        DnsServer(zone_of([theirs])) as dns,
        OpenDkim(tmp_path / "opendkim", records=records_of([theirs])) as opendkim,
        Installation(
            tmp_path,
            {"dkim-verify": section},
            {"believe_unsealed_from": believe, "dns": {"nameservers": [dns.address]}},
        ) as gatepost,
        layout_a(border=[opendkim.milter], inward=[gatepost["dkim-verify"].milter]) as layout,
    ):
        layout.receive(theirs.sign(message(FRIEND, BERT)), FRIEND, [BERT])
        [delivery] = layout.postfix.wait_for_delivery(BERT)
    fields = results(delivery)
    # Of the two, OpenDKIM alone reports on RFC 6541.
    assert ["opendkim" if "dkim-atps=" in field else "gatepost" for field in fields] == writers
    assert [field for field in fields if "dkim=pass" not in field] == []
