"""The clock steps by hours, forward and back, while mail comes in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.greylist_site import DELAY, NEWCOMER, Host
from tests.e2e.mx import Mx
from tests.e2e.support import FRIEND, RESULTS, message
from tests.harness.clock import Clock
from tests.harness.daemon import Installation
from tests.harness.dns_server import DnsServer
from tests.harness.keys import passes, rsa_key
from tests.harness.postfix import Postfix, Smtpd
from tests.harness.smtp import STRANGER, Session
from tests.unit.docs.fault_table import shows

HOURS = 5 * 3600.0


def under(clock: Clock, gatepost: Installation) -> None:
    """Let all daemons of an installation that is not yet started go by *clock*."""
    for daemon in gatepost.daemons.values():
        daemon.process.command = clock.command(daemon.process.command)


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[Clock]:
    with Clock(tmp_path / "clock") as clock:
        yield clock


def test_signatures(tmp_path: Path, clock: Clock) -> None:
    """A signature that was made now seems to come from the future after a step back, and then does not count."""
    with Mx(tmp_path) as mx:
        mx.daemon.stop()
        under(clock, mx.gatepost)
        mx.daemon.start()
        mx.send("at-first")
        clock.offset = HOURS
        mx.send("forward")
        clock.offset = -HOURS
        mx.send("back")
        clock.offset = 0
        mx.send("right")
        results = {name: mx.result(name) for name in ("at-first", "forward", "back", "right")}
        log = mx.daemon.log()
    assert {name for name, result in results.items() if "dkim=pass" in result} == {
        "at-first",
        "forward",
        "right",
    }
    assert "dkim=neutral" in results["back"]
    shows("The clock is hours behind, dkim-verify", log)


def test_greylisting(tmp_path: Path, clock: Clock) -> None:
    """Who waits is not made to wait for the clock to come back; a step forward lets him in sooner."""
    host = Host(tmp_path, {"auto_allow": 0})
    under(clock, host.gatepost)
    with host:
        clock.offset = HOURS
        host.put_off("a@newcomer.example", "bert@example.nl")
        clock.offset = 0
        assert host.put_off("a@newcomer.example", "bert@example.nl") <= DELAY
        clock.offset = HOURS
        assert host.send("a@newcomer.example", "bert@example.nl", client=NEWCOMER).positive
        clock.offset = -HOURS
        assert host.send("a@newcomer.example", "bert@example.nl", client=NEWCOMER).positive
        shows("The clock steps by hours, greylist", host.daemon.log())


def test_seals(tmp_path: Path, clock: Clock) -> None:
    """A seal from before the step is not believed after it: what it said is found out again."""
    key = rsa_key("example.nl")
    zone = {
        "example.org": [{"TXT": "v=spf1 ip4:192.0.2.10 -all"}],
        "_dmarc.example.org": [{"TXT": "v=DMARC1; p=reject"}],
        key.name: [{"TXT": key.record}],
    }
    sections: dict[str, dict[str, Any]] = {
        "spf": {},
        "dmarc-enforce": {"kind": "dmarc", "mode": "enforce", "history": None},
        "dkim-sign": {
            "keys": [
                {
                    "domain": "example.nl",
                    "selector": "mail",
                    "file": str(key.write(tmp_path / "mail.private")),
                }
            ],
        },
    }
    with ExitStack() as running:
        dns = running.enter_context(DnsServer(zone))
        gatepost = Installation(tmp_path, sections, {"dns": {"nameservers": [dns.address]}})
        under(clock, gatepost)
        running.enter_context(gatepost)
        mx = Smtpd(name="mx", milters=[gatepost["dmarc-enforce"].milter], policy=[gatepost["spf"].milter])
        out = Smtpd(name="out", milters=[gatepost["dkim-sign"].milter])
        postfix = running.enter_context(Postfix([mx, out]))
        for number, (before, after) in enumerate([(0, HOURS), (HOURS, 0), (0, -HOURS)]):
            clock.offset = before
            session = running.enter_context(Session(postfix.port("mx")))
            session.become(STRANGER)
            session.envelope(FRIEND, [f"{number}@example.nl"])
            clock.offset = after
            assert session.message(message(FRIEND, "bert@example.nl")).positive
            [delivery] = postfix.wait_for_delivery(f"{number}@example.nl")
            assert "dmarc=pass" in " ".join(delivery.values(RESULTS))
        log = gatepost["dmarc-enforce"].log()
        shows("The clock steps by hours, seals", log)
        # What we sign ourselves bears the clock's time.
        clock.offset = -HOURS
        session = running.enter_context(Session(postfix.port("out")))
        session.ehlo()
        session.send(message("anna@example.nl", FRIEND), "anna@example.nl", [FRIEND])
        [delivery] = postfix.wait_for_delivery(FRIEND)
        assert passes(delivery.octets, {key.name: key.record}) == [True]
