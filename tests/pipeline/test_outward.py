"""Mail of users, to the world: signed behind the filter, and judged by OpenDKIM and OpenDMARC."""

from __future__ import annotations

import smtplib
import subprocess

import pytest

from tests.harness.delivery import Delivery
from tests.harness.waiting import wait_for
from tests.pipeline.machine import ADDRESS
from tests.pipeline.mailbox import arrived, untrusting
from tests.pipeline.senders import mail, submit
from tests.pipeline.server import ANNA, BERT, CARLA, DORA, Server
from tests.pipeline.servers.dns import OUTSIDE
from tests.pipeline.servers.mariadb import PASSWORD
from tests.pipeline.verdicts import RESULTS, verdicts

FRIEND = "friend@example.org"
OF_THE_PROGRAM = (
    ("User-Agent", "Some mailer"),
    ("X-Originating-IP", "[192.0.2.77]"),
    (RESULTS, "mail.example.nl; dmarc=pass header.from=bank.example"),
)


def delivered(server: Server, message_id: str) -> Delivery:
    """The mail with this Message-ID, as it has arrived in the world."""

    def there() -> list[Delivery]:
        found = server.outside.deliveries()
        return [each for each in found if each.values("Message-ID") == [message_id]]

    [delivery] = wait_for(there, f"{message_id} in the world", 60)
    return delivery


def signers(delivery: Delivery) -> list[str]:
    """The domains of the signatures, topmost first."""
    tags = [tag.strip() for value in delivery.values("DKIM-Signature") for tag in value.split(";")]
    return [tag[2:] for tag in tags if tag.startswith("d=")]


@pytest.mark.parametrize("port", [587, 465])
@pytest.mark.parametrize("user", [ANNA, CARLA])
def test_each_domain_is_signed_with_its_own_key(server: Server, user: str, port: int) -> None:
    letter = mail(user, FRIEND, *OF_THE_PROGRAM)
    submit(user, letter.octets, [FRIEND], port=port)
    delivery = delivered(server, letter.message_id)
    found = verdicts(delivery, OUTSIDE.name)
    assert (found["dkim"], found["dmarc"]) == (["pass"], ["pass"])
    assert signers(delivery) == [user.partition("@")[2]]
    for name, _ in OF_THE_PROGRAM[:2]:
        assert delivery.values(name) == []
    assert b"bank.example" not in delivery.octets
    # No computer of a user and no step of the filter is told of: the world sees its own hop alone.
    assert len(delivery.values("Received")) == 1
    assert [field.name for field in delivery.fields if field.name.lower().startswith(b"x-")] == []


def test_eight_bits_are_signed_as_they_leave(server: Server) -> None:
    mime = (("MIME-Version", "1.0"), ("Content-Type", "text/plain; charset=utf-8"))
    letter = mail(ANNA, FRIEND, *mime, ("Content-Transfer-Encoding", "8bit"), body="Żółć – ça va?\n" * 20)
    submit(ANNA, letter.octets, [FRIEND])
    delivery = delivered(server, letter.message_id)
    assert verdicts(delivery, OUTSIDE.name)["dkim"] == ["pass"]


def test_a_domain_without_a_key_goes_out_unsigned_and_the_log_says_why(server: Server) -> None:
    letter = mail(DORA, FRIEND)
    submit(DORA, letter.octets, [FRIEND])
    delivery = delivered(server, letter.message_id)
    found = verdicts(delivery, OUTSIDE.name)
    assert (found["dkim"], found["dmarc"]) == (["none"], ["pass"])
    [line] = [line for line in server.gatepost["dkim-sign"].log().splitlines() if "sender=nokey.nl" in line]
    assert 'signed=no reason="none of the 2 entries of keys is for this sender"' in line


def test_users_write_to_each_other(server: Server) -> None:
    letter = mail(ANNA, BERT)
    submit(ANNA, letter.octets, [BERT])
    delivery = arrived(BERT, letter.message_id)
    assert signers(delivery) == ["example.nl"]
    assert b"gatepost-s" not in delivery.octets


def test_the_guides_own_check_by_swaks(server: Server) -> None:
    """As an administrator tries the server out: port 587 with STARTTLS and a login."""
    message_id = "<swaks.1@example.nl>"
    options = {
        "server": f"{ADDRESS}:587",
        "auth-user": ANNA,
        "auth-password": PASSWORD,
        "from": ANNA,
        "to": FRIEND,
        "header": f"Message-Id: {message_id}",
    }
    given = [word for name, value in options.items() for word in (f"--{name}", value)]
    done = subprocess.run(["swaks", "--tls", *given], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = verdicts(delivered(server, message_id), OUTSIDE.name)
    assert (found["dkim"], found["dmarc"]) == (["pass"], ["pass"])


def test_nobody_sends_without_a_login(server: Server) -> None:
    letter = mail(ANNA, FRIEND)
    with smtplib.SMTP(ADDRESS, 587, "laptop.example.nl", 60) as session:
        session.starttls(context=untrusting())
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            session.sendmail(ANNA, [FRIEND], letter.octets)


def test_nobody_logs_in_without_tls(server: Server) -> None:
    with smtplib.SMTP(ADDRESS, 587, "laptop.example.nl", 60) as session:
        session.ehlo()
        assert not session.has_extn("auth")


def test_nothing_is_left_in_the_queue(server: Server) -> None:
    server.wait_until_idle()
    server.outside.wait_until_idle()
