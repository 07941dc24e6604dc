"""Who writes while a part is away or under load: the servers of the world, and users who log in; and how they send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from email.utils import formatdate
from functools import partial

from tests.harness.accounting.mail import Kind, Mail
from tests.harness.accounting.senders import Senders, signed_with
from tests.harness.accounting.traffic import PATIENCE
from tests.harness.smtp import Client, Session
from tests.harness.waiting import wait_for
from tests.pipeline.machine import ADDRESS
from tests.pipeline.mailbox import untrusting
from tests.pipeline.server import ANNA, MANY, Server
from tests.pipeline.servers.dns import BANK, EVIL, FORWARDER, OUTSIDE, PLAIN, Party
from tests.pipeline.servers.mariadb import PASSWORD

PEOPLE = MANY[:8]
"""Who gets mail. Few, so that the greylist can know them all before the clock runs."""

_ACQUAINTED = 30.0

SPOOFED = "spoofed"

_REFUSED = "DMARC"
"""In what our daemons and OpenDMARC say to a mail that they refuse."""


def client(party: Party) -> Client:
    """How a party's server introduces itself."""
    return Client(party.address, party.name, party.name)


class World(Senders):
    """The senders of mail to *server*, with the keys and the DNS that are there.

    Their mail has to fare the same with the daemons that ours replace: that of
    mailing lists, which those refuse, is not among it.
    """

    def __init__(self, server: Server, seed: int = 1) -> None:
        super().__init__(
            seed,
            _kinds(server.gatepost.keys),
            inside=PEOPLE,
            outside=[f"friend{number}@{OUTSIDE.domain}" for number in range(len(PEOPLE))],
            keys=dict(zip(("rsa", "ed"), server.theirs, strict=True)),
            date=formatdate(),
        )


def _kinds(records: Mapping[str, str]) -> Sequence[Kind]:
    """The kinds; our users' mail is signed with the key of *records*."""
    honest, forwarder = client(OUTSIDE), client(FORWARDER)
    domain, passes = OUTSIDE.domain, "dmarc=pass"
    return [
        Kind("signed", 26, domain, shows=("dkim=pass", passes), sign="rsa", client=honest),
        Kind("signed ed25519", 8, domain, shows=("dkim=pass", passes), sign="ed", client=honest),
        Kind("signed, 40 kB", 8, domain, shows=("dkim=pass", passes), sign="rsa", size=40_000,
             client=honest),
        Kind("signed, 400 kB", 2, domain, shows=("dkim=pass", passes), sign="rsa", size=400_000,
             client=honest),
        Kind("by SPF alone", 10, domain, shows=(passes,), client=honest),
        Kind("forwarded", 10, domain, shows=("dkim=pass", passes), sign="rsa", client=forwarder),
        Kind("broken", 6, domain, refused=_REFUSED, sign="rsa", alter=True, client=forwarder),
        Kind(SPOOFED, 6, BANK.domain, refused=_REFUSED, client=client(EVIL)),
        Kind("without any", 8, PLAIN.domain, shows=("dmarc=none",), client=client(PLAIN)),
        Kind("bounce", 2, PLAIN.domain, shows=("dmarc=none",), null_sender=True, client=client(PLAIN)),
        Kind("submitted", 14, "example.nl", user=True, check=signed_with(records)),
    ]  # fmt: skip


def bring(mail: Mail) -> None:
    """Try once to send a mail, from its client's own address, or as a user on 587.

    Raises RefusedError, DisconnectedError, OSError.
    """
    if mail.kind.user:
        with Session(587, PATIENCE, host=ADDRESS) as session:
            session.ehlo()
            session.starttls(untrusting())
            session.ehlo()
            session.login(ANNA, PASSWORD)
            session.send(mail.octets, mail.sender, mail.recipients)
            session.quit()
        return
    with Session(25, PATIENCE, host=ADDRESS, source=mail.client.address) as session:
        session.ehlo(mail.client.helo)
        session.send(mail.octets, mail.sender, mail.recipients)
        session.quit()


def acquaint(world: World) -> None:
    """Let postscreen know the clients, and the greylist all senders and recipients."""
    mails = [world.mail(0, kind) for kind in world.kinds if not kind.user]
    for client, sender in sorted({(mail.client, mail.sender) for mail in mails}, key=repr):
        wait_for(partial(_let_in, client, sender), f"{sender or '<>'} is known", _ACQUAINTED)


def _let_in(client: Client, sender: str) -> bool:
    with Session(25, PATIENCE, host=ADDRESS, source=client.address) as session:
        session.ehlo(client.helo)
        session.command(f"MAIL FROM:<{sender}>", need=True)
        replies = [session.command(f"RCPT TO:<{person}>") for person in PEOPLE]
        session.quit()
    return all(reply.positive for reply in replies)
