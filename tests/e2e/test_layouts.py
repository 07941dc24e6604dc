"""gatepost's two DKIM daemons in the three layouts, against dkimpy as the rest of the world."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.support import awkward
from tests.harness.daemon import Installation
from tests.harness.delivery import compose
from tests.harness.dns_server import DnsServer
from tests.harness.keys import KeyPair, ed25519_key, passes, rsa_key
from tests.harness.layouts import Layout, layout_a, layout_b, layout_c

ANNA, BERT, FRIEND = "anna@example.nl", "bert@example.nl", "friend@example.org"
FORGED = ("Authentication-Results", "mail.example.nl; dkim=pass header.d=bank.example")


@dataclass(frozen=True)
class Site:
    """A running layout and the keys on both sides."""

    layout: Layout
    ours: tuple[KeyPair, ...]
    theirs: KeyPair


def arranged(kind: str, verify: str, sign: str) -> Layout:
    """The layout with the daemons where its documentation puts them."""
    if kind == "A":
        return layout_a(border=[verify], inward=[verify], outward=[sign])
    if kind == "B":
        return layout_b(inward=[verify], outward=[sign])
    return layout_c(milters=[verify, sign])


@pytest.fixture(scope="module", params=["A", "B", "C"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory: Path = tmp_path_factory.mktemp("site")
    ours, theirs = (rsa_key("example.nl"), ed25519_key("example.nl")), rsa_key("example.org")
    keys = [
        {
            "domain": key.domain,
            "selector": key.selector,
            "file": str(key.write(directory / f"{key.selector}.private")),
        }
        for key in ours
    ]
    with DnsServer({theirs.name: [{"TXT": theirs.record}]}) as dns:
        # Before the queue, the verifier behind the filter is the only one that sees a message at all.
        sections = {"dkim-verify": {"verify_local": request.param == "B"}, "dkim-sign": {"keys": keys}}
        with Installation(directory, sections, {"dns": {"nameservers": [dns.address]}}) as gatepost:
            verify, sign = gatepost["dkim-verify"].milter, gatepost["dkim-sign"].milter
            with arranged(request.param, verify, sign) as layout:
                yield Site(layout, ours, theirs)


def message(sender: str, recipient: str, *extra: tuple[str, str]) -> bytes:
    fields = [("From", sender), ("To", recipient), ("Subject", "A word"), ("Message-ID", "<1@example.org>")]
    return compose([*extra, *fields, ("Date", "Sat, 21 Nov 2026 10:00:00 +0000")])


def received(site: Site, octets: bytes, recipient: str) -> list[str]:
    """The Authentication-Results fields with which a mail from outside arrives."""
    site.layout.receive(octets, FRIEND, [recipient])
    [delivery] = site.layout.postfix.wait_for_delivery(recipient)
    assert delivery.body == octets.partition(b"\r\n\r\n")[2]
    return delivery.values("Authentication-Results")


def test_signed_mail_passes(site: Site) -> None:
    [field] = received(site, site.theirs.sign(message(FRIEND, BERT)), "good@example.nl")
    assert field.startswith("mail.example.nl;")
    assert "dkim=pass" in field
    assert "header.d=example.org" in field


def test_altered_mail_fails(site: Site) -> None:
    altered = site.theirs.sign(message(FRIEND, BERT)).replace(b"Hello.", b"Hello!")
    [field] = received(site, altered, "altered@example.nl")
    assert "dkim=fail" in field


def test_a_forged_result_is_replaced_by_our_own(site: Site) -> None:
    [field] = received(site, message(FRIEND, BERT, FORGED), "forged@example.nl")
    assert "dkim=none" in field
    assert "bank.example" not in field


def test_a_stranger_is_not_signed_for(site: Site) -> None:
    site.layout.receive(message(ANNA, BERT), ANNA, ["impostor@example.nl"])
    [delivery] = site.layout.postfix.wait_for_delivery("impostor@example.nl")
    assert delivery.values("DKIM-Signature") == []


def test_users_are_signed_for_with_both_keys(site: Site) -> None:
    site.layout.submit(message(ANNA, FRIEND), ANNA, [FRIEND])
    [delivery] = site.layout.postfix.wait_for_delivery(FRIEND)
    assert passes(delivery.octets, {key.name: key.record for key in site.ours}) == [True, True]


def test_awkward_mail_passes_on_its_way_in(site: Site) -> None:
    """Behind a content filter the verifier sees what the filter made of the mail: here, the same octets."""
    mails = awkward(FRIEND)
    del mails["bare-carriage-returns"]  # Postfix makes spaces of them before it shows a mail to anyone
    for name, octets in mails.items():
        signed = site.theirs.sign(octets, canonicalization="simple/simple")
        site.layout.receive(signed, FRIEND, [f"in.{name}@example.nl"], "BODY=8BITMIME")
    deliveries = {name: site.layout.postfix.wait_for_delivery(f"in.{name}@example.nl")[0] for name in mails}
    passed = {
        name: [field.count("dkim=pass") for field in delivery.values("Authentication-Results")]
        for name, delivery in deliveries.items()
    }
    assert passed == {name: [1] for name in mails}


def test_awkward_mail_is_signed_on_its_way_out(site: Site) -> None:
    mails = awkward(ANNA)
    for name, octets in mails.items():
        site.layout.submit(octets, ANNA, [f"out.{name}@example.org"], "BODY=8BITMIME")
    records = {key.name: key.record for key in site.ours}
    deliveries = {name: site.layout.postfix.wait_for_delivery(f"out.{name}@example.org")[0] for name in mails}
    verdicts = {name: passes(delivery.octets, records) for name, delivery in deliveries.items()}
    assert verdicts == {name: [True, True] for name in mails}
