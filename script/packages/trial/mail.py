"""Mail through the Postfix of a clean root: a stranger's, verified, and ours, signed."""

from __future__ import annotations

import json

from script.packages.trial.checking import TrialError, expect
from script.packages.trial.clean_root import CleanRoot

STRANGER = "192.0.2.10"
MAILBOX = "/var/mail/bert"
_WORLD = "/root/world"
_ZONE = "/etc/gatepost/zone.yaml"

# Who a client is can be told to Postfix by XCLIENT: there is no network to come from.
_DELIVER = """\
import smtplib, sys

client, sender, recipient = sys.argv[1:]
with smtplib.SMTP("127.0.0.1", 25, timeout=60) as session:
    session.ehlo()
    if client != "-":
        session.docmd("XCLIENT", f"ADDR={client} NAME=mx.example.org")
        session.ehlo("mx.example.org")
    try:
        session.sendmail(sender, [recipient], sys.stdin.buffer.read())
    except smtplib.SMTPRecipientsRefused as refused:
        sys.exit(" ".join(f"{code} {text.decode()}" for code, text in refused.recipients.values()))
"""

_MESSAGE = """\
From: {sender}
To: bert@example.nl
Subject: {subject}
Date: Tue, 14 Nov 2023 22:13:20 +0000
Message-ID: <{subject}@example.org>

Hello Bert.
"""


def prepare(root: CleanRoot) -> None:
    """A mail server for example.nl with a user bert, before gatepost comes."""
    root.run(
        "printf '%s\\n' 'postfix postfix/main_mailer_type select Internet Site' "
        "'postfix postfix/mailname string mail.example.nl' | debconf-set-selections; "
        "apt-get -qq -y --no-install-recommends install postfix; useradd --create-home bert; "
        "postconf -e 'mydestination = example.nl, mail.example.nl, localhost' 'mynetworks_style = host' "
        "smtpd_authorized_xclient_hosts=127.0.0.1; systemctl restart postfix"
    )
    root.path("/root/deliver.py").write_text(_DELIVER)


def publish_world(root: CleanRoot, gatepost: str = "gatepost") -> None:
    """example.org and its key, in a zone file in the DNS's place; the daemons read it after a reload."""
    record = root.run(
        f"mkdir -p {_WORLD}; {gatepost} keygen example.org --output {_WORLD}/mail.private --format line 2>/dev/null"
    )
    name, _, value = record.strip().partition(" ")
    zone = {
        name.rstrip("."): [{"TXT": value.strip()}],
        "example.org": [{"TXT": f"v=spf1 ip4:{STRANGER} -all"}, {"MX": [10, "mx.example.org"]}],
        "mx.example.org": [{"A": STRANGER}, {"TXT": "v=spf1 a -all"}],
        "_dmarc.example.org": [{"TXT": "v=DMARC1; p=reject"}],
    }
    root.path(_ZONE).write_text(json.dumps(zone))
    keys = f"{{domain: example.org, selector: mail, file: {_WORLD}/mail.private}}"
    root.path(f"{_WORLD}/gatepost.yaml").write_text(
        f"daemons: {{dkim-sign: {{socket: 'inet:1@127.0.0.1', require_safe_keys: no, keys: [{keys}]}}}}\n"
    )
    root.run(f"printf 'dns: {{zone: {_ZONE}}}\\n' >>/etc/gatepost/gatepost.yaml; {gatepost} check")
    root.run("systemctl reload 'gatepost@*.service'")
    for name in ("dkim-verify", "dmarc-enforce", "spf"):
        root.settled(f"journalctl -u gatepost@{name} -o cat | grep -E '^reloaded'")


def from_the_world(root: CleanRoot, subject: str) -> str:
    """A signed mail of example.org to bert. Gives what Postfix answered to RCPT, "" for yes."""
    file = f"{_WORLD}/{subject}.eml"
    root.path(file).write_text(_MESSAGE.format(sender="eva@example.org", subject=subject))
    root.run(f"gatepost sign {file} --config {_WORLD}/gatepost.yaml >{file}.signed")
    return _deliver(root, STRANGER, "eva@example.org", f"{file}.signed")


def from_us(root: CleanRoot, subject: str) -> None:
    """A mail of our own, handed in on this host."""
    file = f"{_WORLD}/{subject}.eml"
    root.path(file).write_text(_MESSAGE.format(sender="anna@example.nl", subject=subject))
    refused = _deliver(root, "-", "anna@example.nl", file)
    expect(not refused, "our own mail is taken", refused)


def _deliver(root: CleanRoot, client: str, sender: str, file: str) -> str:
    command = f"python3.11 /root/deliver.py {client} {sender} bert@example.nl <{file} 2>&1 || true"
    return root.run(command).strip()


def delivered(root: CleanRoot, subject: str) -> str:
    """The mail in bert's mailbox, its header unfolded. Raises TrialError where it does not come."""
    root.settled(f"grep -qxF 'Subject: {subject}' {MAILBOX}")
    root.settled('test -z "$(postqueue -j)"')
    for mail in root.path(MAILBOX).read_text().split("\nFrom "):
        if f"\nSubject: {subject}\n" in mail:
            return mail.replace("\n\t", " ").replace("\n ", " ")
    raise TrialError(f"there is no mail {subject}")
