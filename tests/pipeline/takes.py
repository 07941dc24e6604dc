"""What is recorded of the whole server: who sends which mail, and which of its dialogues are kept."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from tests.pipeline.senders import send, submit
from tests.pipeline.server import BERT, CARLA
from tests.pipeline.servers.dns import EVIL, FORWARDER, OUTSIDE, Party
from tests.sessions.mails import ANNA, FRIEND, mail, signed
from tests.sessions.zone import ED25519

Act = Callable[[], None]

# Which daemon of the sessions stands on which port.
PLACES: Mapping[str, Mapping[int, str]] = {
    "A": {8891: "verify", 8892: "sign", 8893: "dmarc", 8894: "dmarc-inside"},
    "B": {8891: "verify-proxied", 8892: "sign", 8893: "dmarc"},
}
# With a name, lest SpamAssassin keeps it; and outside the networks that the sessions' daemons trust.
SPOOFER = replace(EVIL, address=FORWARDER.address, name=FORWARDER.name)


class Kept(NamedTuple):
    """One dialogue: the port of its milter, and which of those there it is (0 the first).

    ``expect`` has to be in the answers, as for a Scene; ``purpose`` says what the session shows.
    """

    port: int
    which: int
    expect: Sequence[str]
    purpose: str


@dataclass(frozen=True)
class Take:
    """One mail, and the sessions that come of it, by name."""

    act: Act
    kept: Mapping[str, Kept]


def _comes(
    octets: bytes, sender: str = FRIEND, recipients: Sequence[str] = (BERT,), party: Party = OUTSIDE
) -> Act:
    return lambda: _ignore(send(party, octets, sender, recipients, attempts=1))


def _goes(user: str, octets: bytes, port: int = 587) -> Act:
    return lambda: submit(user, octets, [FRIEND], port=port)


def _sendmail(octets: bytes) -> Act:
    command = ["sendmail", "-f", ANNA, FRIEND]
    return lambda: _ignore(subprocess.run(command, input=octets.replace(b"\r\n", b"\n"), check=True))


def _ignore(_: object) -> None:
    pass


EIGHT_BITS = mail(
    ("MIME-Version", "1.0"),
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Content-Transfer-Encoding", "8bit"),
    sender=ANNA,
    recipient=FRIEND,
    body="Żółć – ça va?\n",
)
FORGED = ("Authentication-Results", "mail.example.nl; dkim=pass header.d=bank.example; spf=pass smtp.helo=x")
BOUNCE = mail(("Auto-Submitted", "auto-replied"), sender="MAILER-DAEMON@example.org", recipient=ANNA)
SPOOFED = mail(FORGED, sender="ceo@bank.example")

TAKES: Mapping[str, Sequence[Take]] = {
    "A": [
        Take(
            _comes(signed(mail(FORGED))),
            {
                "postscreen": Kept(
                    8891, 0, ["dkim=pass", "remove"], "Through postscreen, with a sealed SPF field."
                ),
                "re-injected": Kept(
                    8891,
                    1,
                    ["accept", "!insert"],
                    "The same mail back from Amavis: its results are known by their seals.",
                ),
            },
        ),
        Take(
            _comes(signed(mail(FORGED))),
            {
                "postscreen-verified": Kept(
                    8893, 0, ["dmarc=pass"], "Behind the verifier, with SPF sealed by its service."
                ),
                "re-injected": Kept(
                    8894, 0, ["replace", "!seal"], "Back from Amavis: seals go, results stay."
                ),
            },
        ),
        Take(
            _comes(BOUNCE, ""),
            {
                "null-sender-verified": Kept(8893, 0, ["dmarc=pass"], "A bounce: SPF of HELO decides."),
                "re-injected-null-sender": Kept(
                    8894, 0, ["replace", "!seal"], "The bounce, back from Amavis."
                ),
            },
        ),
        Take(
            _comes(SPOOFED, "x@evil.example", (BERT,), SPOOFER),
            {
                "postscreen-spoofed": Kept(
                    8893, 0, ["550", "bank.example"], "Refused at the border, through postscreen."
                )
            },
        ),
        Take(
            _comes(signed(mail()), FRIEND, (ANNA, BERT)),
            {
                "re-injected-for-two": Kept(
                    8891, 1, ["accept", "!insert"], "Two recipients, back from Amavis."
                )
            },
        ),
        Take(
            _goes(ANNA, mail(("User-Agent", "Some mailer"), sender=ANNA, recipient=FRIEND)),
            {
                "submission": Kept(
                    8892, 0, ["d=example.nl"], "From a user on 587, back from Amavis and cleaned up."
                )
            },
        ),
        Take(
            _goes(ANNA, mail(sender=ANNA, recipient=FRIEND), 465),
            {"smtps": Kept(8892, 0, ["d=example.nl"], "From a user on 465, back from Amavis.")},
        ),
        Take(
            _goes(ANNA, EIGHT_BITS),
            {
                "submission-eight-bits": Kept(
                    8892, 0, ["d=example.nl"], "Eight bits, made seven on the way to Amavis."
                )
            },
        ),
        Take(
            _goes(CARLA, mail(sender=CARLA, recipient=FRIEND)),
            {
                "submission-no-key": Kept(
                    8892, 0, ["accept", "!d="], "A domain without a key, back from Amavis."
                )
            },
        ),
        Take(
            _sendmail(mail(sender=ANNA, recipient=FRIEND)),
            {
                "sendmail": Kept(
                    8892, 0, ["d=example.nl"], "Handed in by a program of this host, with sendmail(1)."
                )
            },
        ),
    ],
    "B": [
        Take(
            _comes(signed(signed(mail(FORGED)), ED25519)),
            {
                "proxied": Kept(
                    8891, 0, ["dkim=pass", "remove"], "Through Amavis before the queue, from 127.0.0.1."
                )
            },
        ),
        Take(
            _comes(mail(FORGED)),
            {
                "proxied-by-spf": Kept(
                    8893, 0, ["dmarc=pass"], "Unsigned: the sealed SPF field alone tells who it was."
                )
            },
        ),
        Take(
            _comes(SPOOFED, "x@evil.example", (BERT,), SPOOFER),
            {
                "proxied-spoofed": Kept(
                    8893, 0, ["550", "bank.example"], "Refused behind Amavis, while the sender waits."
                )
            },
        ),
        Take(
            _comes(BOUNCE, ""),
            {
                "proxied-null-sender": Kept(
                    8893, 0, ["dmarc=pass"], "A bounce: the sealed SPF field knows HELO."
                )
            },
        ),
    ],
}
