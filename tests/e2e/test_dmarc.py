"""DMARC on a real Postfix in all three layouts: who passes, who is refused, who is held, and who cannot cheat."""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gatepost.authres.seal import Sealer, message_subject
from gatepost.authres.secret import load_or_create
from tests.e2e.dmarc_site import ATTACKER, CEO, CHANGES, EVIL, DmarcSite, dmarc_site, mail, ours
from tests.e2e.support import ANNA, FRIEND, RESULTS
from tests.harness.daemon import Installation
from tests.harness.delivery import Delivery
from tests.harness.dns_server import DnsServer
from tests.harness.keys import rsa_key
from tests.harness.layouts import layout_a, layout_b
from tests.harness.mail import parse
from tests.harness.opendkim import OpenDkim
from tests.harness.policy_client import PolicyClient
from tests.harness.ports import LOOPBACK
from tests.harness.smtp import STRANGER
from tests.harness.waiting import wait_for

REFUSAL = "5.7.1 Email rejected per DMARC policy for bank.example"
LIST = [("List-Id", "<l.lists.example>"), ("List-Post", "<mailto:l@lists.example>")]


@pytest.fixture(scope="module", params=["A", "B", "C"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DmarcSite]:
    directory: Path = tmp_path_factory.mktemp("dmarc")
    with dmarc_site(request.param, directory, options=CHANGES) as site:
        yield site


def enforcing(site: DmarcSite, words: str) -> bool:
    """Whether the enforcing daemon has a line with these words."""
    return any(words in line for line in site.gatepost["dmarc-enforce"].log().splitlines())


_numbers = itertools.count(1)


# -- what becomes of mail


def test_a_signed_mail_passes_whoever_sends_it(site: DmarcSite) -> None:
    delivery = site.receive(site.theirs.sign(mail(FRIEND)), "signed@example.nl")
    # HELO has no record, MAIL FROM is the sender's own; neither aligns.
    assert ours(delivery) == {"spf": ["none", "pass"], "dkim": ["pass"], "dmarc": ["pass"]}
    assert "(p=reject sp=none np=reject dis=none) header.from=example.org" in " ".join(
        delivery.values(RESULTS)
    )


def test_a_mail_from_the_domains_own_server_passes_unsigned(site: DmarcSite) -> None:
    """In layout B nothing but the policy service's sealed field says so."""
    delivery = site.receive(mail(FRIEND), "spf@example.nl", mail_from=FRIEND, client=STRANGER)
    assert ours(delivery)["dkim"] == ["none"]
    assert ours(delivery)["dmarc"] == ["pass"]
    assert ours(delivery)["spf"] == ["none", "pass"]


def test_a_bounce_from_the_domains_own_server_passes_by_its_helo(site: DmarcSite) -> None:
    greeting = replace(STRANGER, helo="bounces.example.org")
    site.dns.zone = {**site.dns.zone, greeting.helo: [{"TXT": f"v=spf1 ip4:{STRANGER.address} -all"}]}  # type: ignore[dict-item]
    delivery = site.receive(mail(FRIEND), "bounce@example.nl", mail_from="", client=greeting)
    assert ours(delivery)["dmarc"] == ["pass"]


def test_a_spoofed_author_is_refused_in_the_session(site: DmarcSite) -> None:
    reply = site.refused(mail(CEO), "spoofed@example.nl")
    assert (reply.code, reply.text) == (550, REFUSAL)
    assert enforcing(site, "author=bank.example dmarc=fail policy=reject")


def test_a_subdomain_that_does_not_exist_is_refused(site: DmarcSite) -> None:
    reply = site.refused(mail("x@nowhere.example.org"), "np@example.nl")
    assert reply.text.endswith("DMARC policy for nowhere.example.org")
    # One that does exist goes by sp=none.
    delivery = site.receive(mail("x@list.example.org"), "sp@example.nl")
    assert ours(delivery)["dmarc"] == ["fail"]


def test_a_quarantined_mail_waits_in_the_hold_queue(site: DmarcSite) -> None:
    entry, delivery = site.held(mail("a@shop.example"), "held@example.nl")
    assert entry["queue_name"] == "hold"
    # Postfix 3.7 says that a milter wanted it; why, our own line says, under the same queue id.
    queue_id = entry["queue_id"]
    assert f"{queue_id}: milter-hold: END-OF-MESSAGE" in site.postfix.log()
    [line] = [line for line in site.gatepost["dmarc-enforce"].log().splitlines() if f"{queue_id}:" in line]
    assert 'author=shop.example dmarc=fail policy=quarantine reason="no aligned identifier"' in line
    assert line.endswith("disposition=quarantine action=quarantine")
    assert ours(delivery)["dmarc"] == ["fail"]
    assert "(p=quarantine dis=quarantine)" in " ".join(delivery.values(RESULTS))


def test_what_comes_through_a_list_is_held_and_not_refused(site: DmarcSite) -> None:
    entry, delivery = site.held(mail(CEO, *LIST), "list@example.nl")
    assert entry["queue_name"] == "hold"
    assert "(p=reject dis=quarantine)" in " ".join(delivery.values(RESULTS))
    assert enforcing(site, "override=mailing_list")


def test_without_a_policy_mail_is_marked_and_delivered(site: DmarcSite) -> None:
    assert ours(site.receive(mail("a@shy.example"), "none@example.nl"))["dmarc"] == ["fail"]
    assert ours(site.receive(mail(EVIL), "norecord@example.nl"))["dmarc"] == ["none"]


def test_two_authors_are_an_error_and_delivered(site: DmarcSite) -> None:
    octets = f"From: {FRIEND}\r\n".encode() + mail(CEO)
    assert ours(site.receive(octets, "two@example.nl"))["dmarc"] == ["permerror"]


def test_users_are_left_alone(site: DmarcSite) -> None:
    site.layout.submit(mail(CEO), ANNA, ["out@example.org"])
    [delivery] = site.postfix.wait_for_delivery("out@example.org")
    assert "dmarc" not in ours(delivery)


def test_each_message_is_told_once_and_kept_for_reports(site: DmarcSite) -> None:
    database = site.directory / "dmarc.db"

    def rows() -> list[tuple[str, ...]]:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            # The file is there before its table.
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'message'").fetchall():
                return []
            return connection.execute(
                "SELECT result, disposition, override, client_address FROM message WHERE queue_id = ?",
                [queue_id],
            ).fetchall()

    site.receive(site.theirs.sign(mail(FRIEND)), "told@example.nl")
    [*_, line] = site.gatepost["dmarc-enforce"].log().splitlines()
    queue_id = line.partition("]: ")[2].partition(":")[0]
    assert site.gatepost["dmarc-enforce"].log().count(queue_id) == 1
    wait_for(database.exists, "a database")
    # Behind the filter of layout B the client is 127.0.0.1; the policy service has stated the real one.
    assert wait_for(rows, "a row") == [("pass", "none", "", ATTACKER.address)]
    if site.kind == "A":
        assert 'reason="evaluated before"' in site.gatepost["dmarc-stamp"].log().splitlines()[-1]


# -- forged and copied results, with a daemon down and a Postfix that goes on all the same

FORGED = [
    (RESULTS, "mail.example.nl; dkim=pass header.d=bank.example header.s=mail header.b=Zm9yZ2Vk"),
    (RESULTS, "mail.example.nl; spf=pass smtp.mailfrom=bank.example smtp.helo=bank.example"),
    (RESULTS, "mail.example.nl; dmarc=pass (p=reject) header.from=bank.example"),
    ("Received-SPF", "pass (mail.example.nl) client-ip=198.51.100.66; envelope-from=ceo@bank.example"),
]


def copied(site: DmarcSite, sender: str = "boss@bank.example") -> list[tuple[str, str]]:
    """Fields that our daemons have truly sealed, a moment ago, on another message of bank.example, by *sender*."""
    secret = Sealer(load_or_create(site.directory / "seal.key", None), 3600)
    other, _ = parse(mail(CEO).replace(b"<1@", b"<2@"))
    dkim, dmarc = (
        secret.seal(f"mail.example.nl; {result}", message_subject(other), time.time())
        for result in ("dkim=pass header.d=bank.example", "dmarc=pass header.from=bank.example")
    )
    with PolicyClient((LOOPBACK, site.gatepost["spf"].port)) as client:
        answer = client.ask(
            client_address="203.0.113.1",
            helo_name="bank.example",
            sender=sender,
            instance=f"i{next(_numbers)}",
        )
    spf = answer.removeprefix(f"PREPEND {RESULTS}: ")
    assert f"spf=pass smtp.mailfrom={sender}" in spf
    return [(RESULTS, dkim), (RESULTS, spf), (RESULTS, dmarc)]


@pytest.mark.parametrize("down", [(), ("dkim-verify",), ("spf",), ("dkim-verify", "spf")], ids="+".join)
@pytest.mark.parametrize("mail_from", [EVIL, CEO])
@pytest.mark.parametrize("kind", ["forged", "copied"])
def test_nobody_passes_by_results_that_he_brings(
    site: DmarcSite, down: tuple[str, ...], mail_from: str, kind: str
) -> None:
    # A copied SPF field of the very same MAIL FROM stands below that of our policy service, which says otherwise.
    sender = "boss@bank.example" if "spf" in down and site.kind == "B" else CEO
    lies = FORGED if kind == "forged" else copied(site, sender)
    with site.without(*down):
        reply = site.refused(mail(CEO, *lies), "lies@example.nl", mail_from=mail_from)
        # … and who is honest passes still.
        honest = site.receive(site.theirs.sign(mail(FRIEND, *lies)), f"honest{next(_numbers)}@example.nl")
    assert (reply.code, reply.text) == (550, REFUSAL)
    assert ours(honest)["dmarc"] == ["pass"]
    assert "bank.example" not in str(honest.values(RESULTS))


@pytest.mark.parametrize("site", ["A"], indirect=True)
def test_with_the_enforcer_down_the_stamp_tells_the_truth(site: DmarcSite) -> None:
    with site.without("dmarc-enforce"):
        delivery = site.receive(mail(CEO, *FORGED, *copied(site)), "stamped@example.nl", mail_from=CEO)
        assert ours(delivery) == {"spf": ["none", "fail"], "dkim": ["none"], "dmarc": ["fail"]}
        with site.without("dkim-verify", "spf"):
            delivery = site.receive(mail(CEO, *FORGED), "alone@example.nl", mail_from=CEO)
    assert ours(delivery) == {"dkim": ["none"], "dmarc": ["fail"]}


# -- results of a peer


@pytest.mark.parametrize("kind", ["A", "B"])
def test_opendkims_results_are_believed_unsealed_where_the_operator_says_so(
    tmp_path: Path, kind: str
) -> None:
    """OpenDKIM alone knows the key, so that nobody else can have found the pass."""
    theirs = rsa_key("example.org")
    records = {theirs.name: theirs.record}
    zone = {"_dmarc.example.org": [{"TXT": "v=DMARC1; p=reject"}]}
    section = {"kind": "dmarc", "mode": "stamp"}
    found: dict[bool, list[Delivery]] = {}
    for believed in (True, False):
        common = {"believe_unsealed_from": [f"{LOOPBACK}/32"] if believed else []}
        directory = tmp_path / str(believed)
        with (
            DnsServer(zone) as dns,
            OpenDkim(directory / "opendkim", records=records) as opendkim,
            Installation(
                directory, {"dmarc-stamp": section}, {**common, "dns": {"nameservers": [dns.address]}}
            ) as gatepost,
        ):
            stamp = gatepost["dmarc-stamp"].milter
            layout = (
                layout_a(border=[opendkim.milter], inward=[stamp])
                if kind == "A"
                else layout_b(inward=[opendkim.milter, stamp])
            )
            with layout:
                layout.receive(theirs.sign(mail(FRIEND)), EVIL, ["peer@example.nl"])
                found[believed] = layout.postfix.wait_for_delivery("peer@example.nl")
    assert [ours(delivery)["dmarc"] for delivery in found[True]] == [["pass"]]
    assert [ours(delivery)["dmarc"] for delivery in found[False]] == [["fail"]]
