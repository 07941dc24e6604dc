"""Mistakes that show while a daemon serves, and what the line of a message says then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from tests.e2e.support import message
from tests.e2e.troubles.scene import NOBODY, Running, Scene, changed, gives, put, secret_of_nobody
from tests.harness.dns_server import DnsServer
from tests.harness.keys import rsa_key
from tests.harness.milter_client import Header, Mail, MilterClient
from tests.harness.policy_client import PolicyClient

DNS = "dns: {nameservers: [NAMESERVER]}\n"
QUEUE_ID = "4bKq3T1XyzA"
STRANGER = "192.0.2.10"
KEY = rsa_key("example.org")
UNSIGNED = message("anna@example.org", "bert@example.nl")
SIGNED = KEY.sign(UNSIGNED)
ZONE: Mapping[str, Sequence[Mapping[str, str]]] = {
    KEY.name: [{"TXT": KEY.record}],
    "example.org": [{"TXT": "v=spf1 ip4:198.51.100.1 -all"}],
    "_dmarc.example.org": [{"TXT": "v=DMARC1; p=reject"}],
}
DAEMONS = {
    "dkim-verify": "  dkim-verify: {socket: inet:8891@127.0.0.1}\n",
    "dkim-sign": (
        "  dkim-sign:\n    socket: inet:8892@127.0.0.1\n    keys:\n"
        "      - {domain: example.org, selector: mail, file: /etc/gatepost/keys/mail.private}\n"
    ),
    "dmarc-enforce": (
        "  dmarc-enforce:\n    kind: dmarc\n    mode: enforce\n    socket: inet:8893@127.0.0.1\n"
        "    history: /var/lib/gatepost/dmarc.sqlite\n"
    ),
    "spf": "  spf: {socket: inet:8895@127.0.0.1}\n",
    "greylist": "  greylist: {socket: inet:10023@127.0.0.1, store: /var/lib/gatepost/greylist/db}\n",
}
PORTS = {"dkim-verify": 8891, "dkim-sign": 8892, "dmarc-enforce": 8893, "spf": 8895, "greylist": 10023}


def fields(octets: bytes) -> tuple[list[Header], bytes]:
    """The header fields and the body of a message, as a milter client has them."""
    head, _, body = octets.partition(b"\r\n\r\n")
    lines = head.replace(b"\r\n ", b"\n ").replace(b"\r\n\t", b"\n\t").split(b"\r\n")
    return [(name, value) for name, _, value in (line.partition(b":") for line in lines)], body


def mail(scene: Scene, name: str, octets: bytes, **more: object) -> None:
    """Send a message by the milter *name*."""
    headers, body = fields(octets)
    facts = {"client_address": STRANGER, "queue_id": QUEUE_ID, "mail_from": b"anna@example.org", **more}
    with MilterClient((scene.host, PORTS[name])) as client:
        client.send(Mail(headers, body, **facts))  # type: ignore[arg-type]


def ask(scene: Scene, name: str, sender: str = "anna@example.org") -> str:
    """Ask the policy service *name* about a recipient."""
    with PolicyClient((scene.host, PORTS[name])) as client:
        return client.ask(
            client_address=STRANGER,
            client_name="mail.example.com",
            helo_name="mail.example.com",
            sender=sender,
            recipient="bert@example.nl",
            queue_id=QUEUE_ID,
            protocol_state="RCPT",
            instance=f"1.{sender}",
        )


def seen(scene: Scene, name: str, octets: bytes = b"", **more: object) -> list[str]:
    """What the daemon *name* says of one message, with a DNS that works."""
    with DnsServer(ZONE) as dns:
        put(scene.path("/etc/gatepost/keys/mail.private"), KEY.pem)
        scene.configure(f"{DNS}daemons:\n{DAEMONS[name]}", dns.address)
        with scene.running(name) as daemon:
            if octets:
                mail(scene, name, octets, **more)
            else:
                ask(scene, name)
            return daemon.says(f"{QUEUE_ID}: ")


# The lines of messages.


def tells(line: str, name: str, octets: bytes = b"", **more: object) -> None:
    """Add a message, and the line that its daemon writes."""

    def one(scene: Scene) -> Sequence[str]:
        return seen(scene, name, octets, **more)

    gives(f"{QUEUE_ID}: {line}")(one)


tells(
    "client=192.0.2.10 helo=mail.example.com sender=example.org spf=fail spf_helo=none "
    "mechanism=-all recipient=bert@example.nl action=reject",
    "spf",
)
tells(
    "client=192.0.2.10 sender=anna@example.org recipient=bert@example.nl greylist=deferred "
    "origin=192.0.2.0/24 seconds=300",
    "greylist",
)
tells(
    'client=192.0.2.10 author=example.org dmarc=fail policy=reject reason="no aligned '
    'identifier" spf=fail:example.org disposition=reject action=reject',
    "dmarc-enforce",
    UNSIGNED,
)
tells("client=192.0.2.10 author=example.org dkim=pass:example.org/mail", "dkim-verify", SIGNED)
tells(
    'client=192.0.2.10 author=example.org dkim="fail:example.org/mail:body altered"',
    "dkim-verify",
    SIGNED + b"altered\r\n",
)
tells(
    'client=127.0.0.1 origin="trusted network" sender=example.org signed=example.org/mail/rsa-sha256',
    "dkim-sign",
    UNSIGNED,
    client_address="127.0.0.1",
)
tells(
    'client=192.0.2.10 origin=outside sender="" signed=no reason="client has no login, is in '
    'no trusted network, and no sign_for rule fits"',
    "dkim-sign",
    UNSIGNED,
)
tells(
    'client=127.0.0.1 origin="trusted network" sender=shop.example.org signed=no reason="none '
    'of the 1 entries of keys is for this sender"',
    "dkim-sign",
    message("anna@shop.example.org", "bert@example.nl"),
    client_address="127.0.0.1",
)


# What daemons lean on.


@gives(
    "the DNS does not answer: 127.0.0.1:53: Connection refused: start the nameserver, or name "
    "another as dns.nameservers (none named: in /etc/resolv.conf)"
)
def _resolver_down(scene: Scene) -> Sequence[str]:
    scene.configure(f"{DNS}daemons:\n{DAEMONS['spf']}", f"{scene.host}:53")
    with scene.running("spf") as daemon:
        for number in range(3):
            ask(scene, "spf", f"{number}@example.org")
        return daemon.says("the DNS does not answer")


@gives(
    f'{QUEUE_ID}: client={STRANGER} author=example.org dkim="temperror:example.org/mail:key lookup: timeout"'
)
def _resolver_down_for_dkim(scene: Scene) -> Sequence[str]:
    scene.configure(f"{DNS}daemons:\n{DAEMONS['dkim-verify']}", f"{scene.host}:53")
    with scene.running() as daemon:
        mail(scene, "dkim-verify", SIGNED)
        return daemon.says(f"{QUEUE_ID}: ")


@gives(
    "the DNS does not answer: no usable nameserver in /etc/resolv.conf: start the nameserver,"
    " or name another as dns.nameservers (none named: in /etc/resolv.conf)"
)
def _no_nameserver(scene: Scene) -> Sequence[str]:
    scene.configure("daemons:\n" + DAEMONS["spf"])
    empty = put(scene.path("/etc/resolv.conf"))
    where = f"import gatepost.dns.resolver as r, pathlib; r.RESOLV_CONF = pathlib.Path('{empty}')"
    with scene.running("spf", prefix=changed(where)) as daemon:
        for number in range(3):
            ask(scene, "spf", f"{number}@example.org")
        return daemon.says("the DNS does not answer")


def _greylist(scene: Scene, store: str, *, as_nobody: bool = False) -> Sequence[str]:
    section = DAEMONS["greylist"].replace("/var/lib/gatepost/greylist/db", store)
    scene.configure(f"daemons:\n{section}")
    with scene.running("greylist", prefix=NOBODY if as_nobody else ()) as daemon:
        return daemon.says("store does not work")


@gives(
    "the greylist's store does not work: mail passes meanwhile error=\"Error 111 connecting to "
    '127.0.0.1:6379. Connection refused: is Redis running there?"'
)
def _redis_down(scene: Scene) -> Sequence[str]:
    return _greylist(scene, '"redis://127.0.0.1:6379/0"')


@gives(
    "the greylist's store does not work: mail passes meanwhile "
    'error="/var/lib/gatepost/greylist.sqlite: cannot make the file: Permission denied: let '
    "the daemon's user write to /var/lib/gatepost\""
)
def _greylist_of_root(scene: Scene) -> Sequence[str]:
    return _greylist(scene, "/var/lib/gatepost/greylist.sqlite", as_nobody=True)


@gives(
    "DMARC history /var/lib/gatepost/dmarc.sqlite cannot be written: unable to open database "
    "file: let the daemon's user write to /var/lib/gatepost"
)
def _history_of_root(scene: Scene) -> Sequence[str]:
    with ExitStack() as running:
        dns = running.enter_context(DnsServer(ZONE))
        section = f"{DAEMONS['dmarc-enforce']}    seal: false\n"
        scene.configure(f"{DNS}daemons:\n{section}", dns.address)
        secret_of_nobody(scene)
        daemon: Running = running.enter_context(scene.running("dmarc-enforce", prefix=NOBODY))
        mail(scene, "dmarc-enforce", UNSIGNED)
        return daemon.says("DMARC history")
