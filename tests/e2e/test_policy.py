"""Policy services behind a real Postfix: over both kinds of socket and spawn(8), restarted and reloaded meanwhile."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.support import RESULTS, message
from tests.harness.daemon import Daemon, Installation
from tests.harness.ports import LOOPBACK
from tests.harness.postfix import Postfix, Smtpd
from tests.harness.smtp import STRANGER, RefusedError, Session, deliver
from tests.harness.waiting import wait_for

GOOD, BAD, BERT = "bob@good.example.org", "bob@bad.example.org", "bert@example.nl"
ZONE = {
    "good.example.org": [{"TXT": "v=spf1 ip4:192.0.2.0/24 -all"}],
    "bad.example.org": [{"TXT": "v=spf1 -all"}],
    "mx.example.org": [{"A": "192.0.2.10"}],
}
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Spawned(Smtpd):
    """A service of spawn(8), which runs *command* for each connection as the user nobody."""

    command: str = ""

    def lines(self) -> str:
        """The entry in master.cf."""
        return f"{self.name} unix - n n - 0 spawn\n    user=nobody argv={self.command}\n"


@dataclass
class Site:
    """A directory that others may look into, with the DNS of the world."""

    directory: Path
    common: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        zone = self.directory / "zone.yaml"
        zone.write_text(yaml.safe_dump(ZONE))
        self.common = {"dns": {"zone": str(zone)}}


@pytest.fixture
def site(open_place: Path) -> Site:
    return Site(open_place)


def send(postfix: Postfix, sender: str, recipient: str = BERT) -> None:
    octets = message(sender, recipient)
    deliver(postfix.port("mx"), octets, sender, [recipient], client=STRANGER)


@contextmanager
def mx(policy: str, *more: Smtpd, options: Mapping[str, str] | None = None) -> Iterator[Postfix]:
    with Postfix(
        [Smtpd(name="mx", policy=[policy], networks=["127.0.0.255/32"]), *more], options=options
    ) as postfix:
        yield postfix


def judges(postfix: Postfix) -> None:
    """Good mail comes in with its result on top, bad mail does not."""
    send(postfix, GOOD)
    [delivery] = postfix.wait_for_delivery(BERT)
    assert delivery.fields[0].name == RESULTS.encode()
    assert "spf=pass smtp.mailfrom=bob@good.example.org" in delivery.values(RESULTS)[0]
    with pytest.raises(RefusedError, match=r"RCPT: 550 5\.7\.23"):
        send(postfix, BAD)
    assert "warning: problem talking" not in postfix.log()


@pytest.mark.parametrize("kind", ["unix", "inet"])
def test_over_a_socket(site: Site, kind: str) -> None:
    path = site.directory / "spf"
    sections: dict[str, Any] = {"spf": {"workers": 2}}
    if kind == "unix":
        sections["spf"]["socket"] = {"address": f"unix:{path}", "mode": "0666"}
    with Installation(site.directory, sections, site.common) as gatepost:
        daemon = gatepost["spf"]
        with mx(f"unix:{path}" if kind == "unix" else f"inet:{LOOPBACK}:{daemon.port}") as postfix:
            judges(postfix)
        counted = daemon.metrics()
    assert counted['gatepost_results_total{daemon="spf",method="spf",result="pass"}'] == 1
    assert counted['gatepost_messages_total{daemon="spf",verdict="reject"}'] == 1
    assert counted['gatepost_message_seconds_count{daemon="spf"}'] == 2


def spawned(installation: Installation, name: str) -> Spawned:
    """The daemon as spawn(8) starts it, for ``check_policy_service unix:private/NAME``."""
    secret = installation.file.with_name("seal.key")
    secret.write_bytes(b"x" * 32)
    secret.chmod(0o600)
    shutil.chown(secret, "nobody")
    python = f"/usr/bin/env PYTHONPATH={ROOT} {sys.executable}"
    return Spawned(name=name, command=f"{python} -m gatepost run {name} --stdio --config {installation.file}")


def test_started_by_spawn(site: Site) -> None:
    installation = Installation(site.directory, {"spf": {}}, site.common)
    with mx("unix:private/spf", spawned(installation, "spf")) as postfix:
        judges(postfix)


def test_greylisting_started_by_spawn(site: Site) -> None:
    """Each connection has a process of its own; they share the file."""
    place = site.directory / "state"
    place.mkdir()
    shutil.chown(place, "nobody")
    options = {"store": str(place / "greylist.sqlite"), "delay": 1}
    installation = Installation(site.directory, {"greylist": options}, site.common)
    with mx("unix:private/greylist", spawned(installation, "greylist")) as postfix:
        with Session(postfix.port("mx")) as first:
            first.become(STRANGER)
            with pytest.raises(RefusedError, match=r"RCPT: 450 4\.2\.0 .* Greylisted"):
                first.envelope(GOOD, [BERT])
            # The first smtpd stays connected to its process; another one has to be asked.
            wait_for(lambda: taken(postfix), "the end of the delay")
        [delivery] = postfix.wait_for_delivery(BERT)
        assert " seconds by gatepost at mail.example.nl; " in delivery.values("X-Greylist")[0]
        assert "warning: problem talking" not in postfix.log()


def taken(postfix: Postfix) -> bool:
    """Whether mail is taken now."""
    try:
        send(postfix, GOOD)
    except RefusedError as refused:
        if "Greylisted" not in refused.reply.text:
            raise
        return False
    return True


@pytest.fixture
def running(site: Site) -> Iterator[tuple[Daemon, Session]]:
    """A daemon, and an SMTP connection whose smtpd has asked it once and stays connected to it."""
    with Installation(site.directory, {"spf": {}}, site.common) as gatepost:
        daemon = gatepost["spf"]
        with mx(f"inet:{LOOPBACK}:{daemon.port}") as postfix, Session(postfix.port("mx")) as session:
            session.become(STRANGER)
            session.envelope(GOOD, [BERT])
            session.command("RSET")
            yield daemon, session
            with pytest.raises(RefusedError, match=r"RCPT: 550 5\.7\.23"):
                session.envelope(BAD, [BERT])
            assert "warning: problem talking" not in postfix.log()


def test_a_restart_is_not_noticed(running: tuple[Daemon, Session]) -> None:
    daemon, session = running
    assert daemon.stop() == 0
    daemon.start()
    session.envelope(GOOD, [BERT])
    session.command("RSET")


def test_a_reload_is_not_noticed(running: tuple[Daemon, Session]) -> None:
    daemon, session = running
    for _ in range(3):
        daemon.reload()
        session.envelope(GOOD, [BERT])
        session.command("RSET")
