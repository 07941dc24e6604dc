"""Mail from the world, to the mailbox: what becomes of it, and what is written on it."""

from __future__ import annotations

import base64
import random
import smtplib
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.harness.keys import passes
from tests.harness.waiting import wait_for
from tests.pipeline.machine import ADDRESS
from tests.pipeline.mailbox import Mailbox, arrived
from tests.pipeline.senders import Mail, mail, send
from tests.pipeline.server import ANNA, BERT, MANY, Server
from tests.pipeline.servers import amavis
from tests.pipeline.servers.dns import EVIL, FORWARDER, LIST, OUTSIDE, PLAIN
from tests.pipeline.verdicts import RESULTS, results, spam_tests, verdicts

FRIEND = "friend@example.org"
FORGED = (RESULTS, "mail.example.nl; dkim=pass header.d=bank.example; dmarc=pass header.from=bank.example")
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\n"


def signed(server: Server, letter: Mail, which: Sequence[int] = (0,)) -> bytes:
    """The mail with a signature of example.org by each of these keys: 0 RSA, 1 Ed25519."""
    octets = letter.octets
    for number in which:
        octets = server.theirs[number].sign(octets)
    return octets


def still_signed(server: Server, octets: bytes) -> list[bool]:
    """Which signatures of example.org an independent verifier finds good in the mailbox."""
    return passes(octets, {key.name: key.record for key in server.theirs})


@pytest.mark.parametrize("which", [[0], [1], [0, 1]], ids=["rsa", "ed25519", "both"])
def test_signed_mail_passes_once_by_each_method(server: Server, which: list[int]) -> None:
    letter = mail(FRIEND, BERT, FORGED)
    octets = signed(server, letter, which)
    assert send(OUTSIDE, octets, FRIEND, [BERT]).code == 250
    delivery = arrived(BERT, letter.message_id)
    assert len(results(delivery)) == 3
    found = verdicts(delivery)
    assert found == {"spf": ["pass", "pass"], "dkim": ["pass"] * len(which), "dmarc": ["pass"]}
    assert b"gatepost-s" not in delivery.octets
    assert b"bank.example" not in delivery.octets
    assert still_signed(server, delivery.octets) == [True] * len(which)


def test_forwarded_mail_passes_by_its_signature_alone(server: Server) -> None:
    letter = mail(FRIEND, BERT)
    assert send(FORWARDER, signed(server, letter), FRIEND, [BERT]).code == 250
    found = verdicts(arrived(BERT, letter.message_id))
    assert found["spf"][-1] == "fail"
    assert (found["dkim"], found["dmarc"]) == (["pass"], ["pass"])


def through_a_list(server: Server, letter: Mail) -> bytes:
    """What a mailing list makes of a signed mail: another subject, and a line below."""
    octets = signed(server, letter).replace(b"Subject: A word", b"Subject: [talk] A word")
    return octets + b"-- \r\nYou are on this list.\r\n"


def test_a_mailing_list_under_p_reject_is_held_and_can_be_let_through(server: Server) -> None:
    listed = (("List-Id", "<talk.list.example>"), ("List-Post", "<mailto:talk@list.example>"))
    letter = mail(FRIEND, "talk@list.example", *listed)
    octets = through_a_list(server, letter)
    assert send(LIST, octets, "talk-bounces@list.example", [BERT]).code == 250
    [held] = wait_for(
        lambda: [each for each in server.queue() if each["queue_name"] == "hold"], "mail on hold"
    )
    subprocess.run(["postsuper", "-H", held["queue_id"]], check=True, capture_output=True)
    subprocess.run(["postqueue", "-i", held["queue_id"]], check=True, capture_output=True)
    delivery = arrived(BERT, letter.message_id)
    found = verdicts(delivery)
    assert (found["dkim"], found["dmarc"]) == (["fail"], ["fail"])
    assert len(results(delivery)) == 3
    if server.layout.name == "A":
        assert {"GATEPOST_DMARC_FAIL", "SITE_DMARC_FAIL"} <= set(spam_tests(delivery))


def test_what_only_looks_like_the_sender_is_refused(server: Server) -> None:
    letter = mail("ceo@bank.example", BERT, FORGED)
    outcome = send(EVIL, letter.octets, "x@evil.example", [BERT])
    assert (outcome.code, "bank.example" in outcome.text) == (550, True)
    [line] = [
        each for each in server.gatepost["dmarc-enforce"].log().splitlines() if "author=bank.example" in each
    ]
    assert line.endswith("action=reject")
    asked = [each for each in server.gatepost["spf"].log().splitlines() if "sender=evil.example" in each]
    assert asked
    assert [each for each in asked if f"client={EVIL.address} " not in each] == []


def test_a_signed_mail_altered_on_its_way_is_refused(server: Server) -> None:
    letter = mail(FRIEND, BERT)
    outcome = send(LIST, through_a_list(server, letter), "x@list.example", [BERT])
    assert (outcome.code, "example.org" in outcome.text) == (550, True)


def test_a_bounce_passes_by_its_helo(server: Server) -> None:
    letter = mail("MAILER-DAEMON@example.org", ANNA, ("Auto-Submitted", "auto-replied"))
    assert send(OUTSIDE, letter.octets, "", [ANNA]).code == 250
    delivery = arrived(ANNA, letter.message_id)
    found = verdicts(delivery)
    assert (found["spf"], found["dkim"], found["dmarc"]) == (["pass"], ["none"], ["pass"])
    assert delivery.values("Return-Path") == ["<>"]


def test_eight_bits_arrive_as_they_were(server: Server) -> None:
    mime = (("MIME-Version", "1.0"), ("Content-Type", "text/plain; charset=utf-8"))
    letter = mail(FRIEND, BERT, *mime, ("Content-Transfer-Encoding", "8bit"), body="Żółć – ça va?\n" * 20)
    assert send(OUTSIDE, signed(server, letter, [0, 1]), FRIEND, [BERT]).code == 250
    delivery = arrived(BERT, letter.message_id)
    assert delivery.body == letter.octets.partition(b"\r\n\r\n")[2]
    assert verdicts(delivery)["dkim"] == ["pass", "pass"]
    assert still_signed(server, delivery.octets) == [True, True]


def test_internationalized_addresses_are_not_offered(server: Server) -> None:
    with smtplib.SMTP(ADDRESS, 25, OUTSIDE.name, source_address=(OUTSIDE.address, 0)) as session:
        session.ehlo()
        assert session.has_extn("8bitmime")
        assert not session.has_extn("smtputf8")


def test_a_large_attachment(server: Server) -> None:
    octets = random.Random(1).randbytes(15_000_000)
    encoded = base64.encodebytes(octets).decode()
    mime = (("MIME-Version", "1.0"), ("Content-Type", "application/octet-stream"))
    letter = mail(FRIEND, BERT, *mime, ("Content-Transfer-Encoding", "base64"), body=encoded)
    assert send(OUTSIDE, signed(server, letter), FRIEND, [BERT]).code == 250
    delivery = arrived(BERT, letter.message_id)
    found = verdicts(delivery)
    assert (found["dkim"], found["dmarc"]) == (["pass"], ["pass"])
    assert base64.b64decode(delivery.body) == octets


def test_spam_is_kept_aside_by_the_filter(server: Server) -> None:
    letter = mail(FRIEND, BERT, body=GTUBE)
    assert send(OUTSIDE, signed(server, letter), FRIEND, [BERT]).code == 250
    wait_for(lambda: letter.message_id in _blocked(), "a line of Amavis' log")
    assert list(amavis.QUARANTINE.rglob("spam-*"))
    server.wait_until_idle()
    with Mailbox(BERT) as mailbox:
        assert mailbox.find(letter.message_id) == []


def _blocked() -> str:
    lines = Path(amavis.LOG).read_text(errors="replace").splitlines()
    return "\n".join(line for line in lines if "Blocked SPAM" in line)


def test_many_recipients(server: Server) -> None:
    """Fifty, for each of whom the greylist wants patience: they are let in by twenties, and every refusal takes a
    second from the tenth on. So in the other layout there are a few only."""
    users = MANY if server.layout.name == "A" else MANY[:9]
    letter = mail(FRIEND, "undisclosed-recipients:;")
    assert send(OUTSIDE, signed(server, letter), FRIEND, users).code == 250
    for user in users:
        delivery = arrived(user, letter.message_id)
        assert len(results(delivery)) == 3
        assert verdicts(delivery)["dmarc"] == ["pass"]


def test_a_stranger_has_to_come_again(server: Server) -> None:
    sender = "somebody@plain.example"
    letter = mail(sender, ANNA)
    outcome = send(PLAIN, letter.octets, sender, [ANNA])
    assert (outcome.code, len(outcome.put_off)) == (250, 1)
    assert "Greylisted" in outcome.put_off[0]
    delivery = arrived(ANNA, letter.message_id)
    assert verdicts(delivery) == {"spf": ["none", "none"], "dkim": ["none"], "dmarc": ["none"]}
    assert len(delivery.values("X-Greylist")) == 1


def test_the_servers_of_the_world_find_the_way_by_themselves(server: Server) -> None:
    """A real Postfix, by MX, with its own patience."""
    letter = mail(FRIEND, ANNA)
    with smtplib.SMTP(OUTSIDE.address, 25, "desk.example.org", source_address=("192.0.2.99", 0)) as session:
        session.sendmail(FRIEND, [ANNA], signed(server, letter))
    found = verdicts(arrived(ANNA, letter.message_id))
    assert found == {"spf": ["pass", "pass"], "dkim": ["pass"], "dmarc": ["pass"]}


def test_nothing_is_left_in_the_queue(server: Server) -> None:
    server.wait_until_idle()
