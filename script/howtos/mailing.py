"""Mail through the server while a page is followed: a friend's and a user's by turns, each accounted for."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from script.howtos import world
from script.packages.trial.clean_root import CleanRoot
from tests.harness.keys import KeyPair

_CLIENT = "/root/client.py"
# SOURCE HELO SENDER RECIPIENT [a word more: log in as anna]; "-" as the only one: by turns, till SIGTERM.
_PROGRAM = f"""\
import os, signal, smtplib, ssl, sys, time

def send(source, helo, sender, recipient, octets, login):
    try:
        port = 587 if login else 25
        with smtplib.SMTP("{world.OURS}", port, helo, 60, (source, 0)) as session:
            session.ehlo()
            if login:
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                session.starttls(context=context)
                session.ehlo()
                session.login("anna", "secret")
            for step in (lambda: session.mail(sender), lambda: session.rcpt(recipient), lambda: session.data(octets)):
                code, text = step()
                if code != 250:
                    break
            return f"{{code}} {{text.decode()}}"
    except (OSError, smtplib.SMTPException) as error:
        return f"000 {{error!r}}"

if sys.argv[1] != "-":
    print(send(*sys.argv[1:5], sys.stdin.buffer.read(), sys.argv[5:]))
    sys.exit()
going = True
signal.signal(signal.SIGTERM, lambda *_: globals().update(going=False))
print(os.getpid(), flush=True)
number = 0
mails = {{kind: open(f"/root/{{kind}}.eml", "rb").read() for kind in ("in", "out")}}
while going:
    number += 1
    for kind, who in (
        ("in", ("{world.FRIEND}", "mx.example.org", "friend@example.org", "bert@example.nl")),
        ("out", ("{world.USER}", "laptop", "anna@example.nl", "friend@example.org")),
    ):
        octets = f"X-Number: {{kind}}{{number}}\\r\\n".encode() + mails[kind]
        print(f"{{kind}}{{number}}", send(*who, octets, kind == "out"), flush=True)
    time.sleep(0.1)
"""


@dataclass
class Account:
    """What became of the mails: each by its number (``in1``, ``out1`` …) with the reply to it, and as delivered."""

    replies: dict[str, str] = field(default_factory=dict)
    delivered: dict[str, str] = field(default_factory=dict)

    @property
    def put_off(self) -> list[str]:
        """Mails that were not taken."""
        return [number for number, reply in self.replies.items() if not reply.startswith("250 ")]

    @property
    def lost(self) -> list[str]:
        """Mails that were taken and did not arrive."""
        return sorted(set(self.replies) - set(self.put_off) - set(self.delivered))

    def without(self, kind: str, pattern: str) -> list[str]:
        """Mails of a *kind*, ``in`` or ``out``, in which *pattern* does not stand exactly once."""
        mails = {number: text for number, text in self.delivered.items() if number.startswith(kind)}
        return [number for number, text in mails.items() if len(re.findall(pattern, text)) != 1]


class Mailing:
    """Sends mail to a prepared root."""

    def __init__(self, root: CleanRoot, friend: KeyPair) -> None:
        self._root = root
        theirs = friend.sign(_message("friend@example.org", "bert@example.nl").replace(b"\r\n", b"\n"))
        root.path("/root/in.eml").write_bytes(theirs.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
        root.path("/root/out.eml").write_bytes(_message("anna@example.nl", "friend@example.org"))
        root.path(_CLIENT).write_text(_PROGRAM)

    def spoof(self) -> str:
        """A stranger writes as the director of bank.example; gives the reply."""
        self._root.path("/root/spoof.eml").write_bytes(_message("ceo@bank.example", "bert@example.nl"))
        who = f"{world.SPOOFER} mail.evil.example x@evil.example bert@example.nl"
        return self._root.run(f"python3 {_CLIENT} {who} </root/spoof.eml")

    @contextmanager
    def going_on(self) -> Iterator[Account]:
        """While it lasts, mail comes and goes; the account is complete afterwards."""
        account = Account()
        with self._root.popen(["python3", _CLIENT, "-"]) as process:
            assert process.stdout is not None
            number = process.stdout.readline().strip()
            lines: list[str] = []
            reader = threading.Thread(target=lines.extend, args=(process.stdout,))
            reader.start()
            try:
                yield account
            finally:
                self._root.run(f"kill {number}")
                reader.join()
        account.replies |= dict(line.rstrip().split(" ", 1) for line in lines)
        self._root.settled('postqueue -f; test -z "$(postqueue -j)"', 60)
        texts = [mail.read_text() for mail in self._root.path(world.TAKEN).iterdir()]
        mailbox = self._root.path(world.MAILBOX)
        texts += mailbox.read_text().split("\nFrom ") if mailbox.exists() else []
        for text in texts:
            if found := re.search(r"(?m)^X-Number: (\S+)$", text):
                account.delivered[found[1]] = re.sub(r"\n[ \t]+", " ", text)


def _message(sender: str, recipient: str) -> bytes:
    return (
        f"From: {sender}\r\nTo: {recipient}\r\nSubject: A word\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
        f"Message-ID: <1@{sender.partition('@')[2]}>\r\n\r\nHello.\r\n"
    ).encode()
