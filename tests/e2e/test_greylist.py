"""Greylisting by a real Postfix, of another Postfix with a queue, on one host and on two that share what they know."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.authres.read import read
from tests.e2e.greylist_site import DELAY, FIELD, Host, far_end
from tests.e2e.support import BERT, RESULTS, message
from tests.e2e.test_clock import under
from tests.harness.clock import Clock
from tests.harness.dns_server import DnsServer
from tests.harness.redis_server import RedisServer
from tests.harness.smtp import Client, RefusedError, Session, deliver
from tests.harness.waiting import wait_for

LONG = 600
"""Seconds that a first attempt waits where the test turns the clock: as many as no test takes."""

CARLA = "carla@newcomer.example"
POOL = Client("192.0.2.10", "out1.pool.example", "out1.pool.example")
POOL_TOO = Client("203.0.113.9", "out2.pool.example", "out2.pool.example")
ZONE = {"pool.example": [{"TXT": "v=spf1 ip4:192.0.2.0/24 ip4:203.0.113.0/24 -all"}]}
POSTGREY = Path("/etc/postgrey")


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clock]:
    """That of ``host``."""
    with Clock(tmp_path_factory.mktemp("clock") / "clock") as clock:
        yield clock


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[Host]:
    """SPF and greylisting in the usual order, with the lists that come with postgrey."""
    allow = {
        "client_files": [str(POSTGREY / "whitelist_clients")],
        "recipient_files": [str(POSTGREY / "whitelist_recipients")],
    }
    with DnsServer(ZONE) as dns:
        host = Host(
            tmp_path_factory.mktemp("host"),
            {"allow": allow, "auto_allow": 0, "delay": LONG},
            sections={"spf": {}},
            common={"dns": {"nameservers": [dns.address]}},
        )
        under(clock, host.gatepost)
        with host:
            yield host


def test_the_retry_comes_from_a_queue(tmp_path: Path) -> None:
    with Host(tmp_path, {}) as host, far_end([host.port]) as sender:
        began = time.time()
        deliver(sender.port("in"), message(CARLA, BERT), CARLA, [BERT])
        [delivery] = host.postfix.wait_for_delivery(BERT)
        passed = time.time() - began
        told = sender.log()
        # The next one goes through at once, and has no field.
        deliver(sender.port("in"), message(CARLA, BERT, number=2), CARLA, [BERT])
        _, second = host.postfix.wait_for_delivery(BERT, 2)
        later = sender.log()[len(told) :]
    assert "status=deferred" not in later
    assert "said: 450 4.2.0 <bert@example.nl>: Recipient address rejected: Greylisted, please" in told
    [value] = delivery.values(FIELD)
    seconds, by = value.removeprefix("delayed ").split(" seconds by gatepost at ")
    assert DELAY <= int(seconds) <= passed + 1
    assert by.startswith("mail.example.nl; ")
    assert second.values(FIELD) == []


def test_two_hosts_that_share_a_redis(tmp_path: Path) -> None:
    """The first contact is at one of them; then that one is away, and the retry comes to the other."""
    with tempfile.TemporaryDirectory(prefix="gatepost-") as place, RedisServer(Path(place)) as redis:
        shared = {"store": redis.url}
        one = Host(tmp_path / "mx1", shared, hostname="mx1.example.nl")
        other = Host(tmp_path / "mx2", shared, hostname="mx2.example.nl")
        with one, far_end([one.port, other.port], backoff=DELAY + 1) as sender:
            deliver(sender.port("in"), message(CARLA, BERT), CARLA, [BERT])
            wait_for(lambda: "status=deferred" in sender.log(), "the first attempt")
            assert one.outcomes() == {"deferred": 1}
            one.postfix.stop()
            with other:
                [delivery] = other.postfix.wait_for_delivery(BERT)
                outcomes = other.outcomes()
    assert outcomes == {"delayed": 1}
    assert " seconds by gatepost at mx2.example.nl; " in delivery.values(FIELD)[0]


@pytest.mark.parametrize(
    ("client", "recipient"),
    [
        (Client("192.0.2.77", "mailly.debian.org", "mailly.debian.org"), BERT),
        (Client("66.216.126.174", "", "something.example"), BERT),
        (Client("192.0.2.78", "mail12.telekom.de", "mail12.telekom.de"), BERT),
        (Client("192.0.2.79", "", "something.example"), "postmaster@example.nl"),
    ],
    ids=["domain", "address", "expression", "recipient"],
)
def test_the_lists_that_come_with_postgrey(host: Host, client: Client, recipient: str) -> None:
    sender = f"{client.address.replace('.', '-')}@listed.example"
    before = len(host.postfix.deliveries(recipient))
    host.send(sender, recipient, client=client)
    delivery = host.postfix.wait_for_delivery(recipient, before + 1)[-1]
    assert delivery.values(FIELD) == []


@pytest.mark.parametrize(
    ("client", "recipient"),
    [
        (Client("192.0.2.80", "", "mailly.debian.org"), BERT),
        (Client("192.0.2.83", "debian.org.evil.example", "mailly.debian.org"), BERT),
        (Client("192.0.2.81", "mail12.telekom.de.evil.example", "x"), BERT),
        (Client("192.0.2.82", "", "x"), "not-postmaster@example.nl"),
    ],
    ids=["HELO alone", "domain within", "expression within", "recipient"],
)
def test_who_only_looks_like_one_on_the_lists(host: Host, client: Client, recipient: str) -> None:
    assert host.put_off(f"x@{client.address.replace('.', '-')}.example", recipient, client=client) == LONG


def results(host: Host, recipient: str) -> list[str]:
    """The SPF results of MAIL FROM with which mail for *recipient* has arrived."""
    [delivery] = host.postfix.wait_for_delivery(recipient)
    return [
        result.result
        for field in delivery.values(RESULTS)
        for result in read(field.encode()).results
        if result.method == "spf" and any(each.name == "mailfrom" for each in result.properties)
    ]


def test_what_spf_refuses_is_not_greylisted(host: Host) -> None:
    before = host.outcomes()
    with pytest.raises(RefusedError, match=r"RCPT: 550 5\.7\.23"):
        host.send("x@pool.example", BERT, client=Client("198.51.100.99"))
    assert host.outcomes() == before


def test_both_fields_arrive_once(host: Host, clock: Clock) -> None:
    """A pool of servers counts as its domain; many recipients wait together and get one field of each kind."""
    recipients = [f"many.{'abcdefgh'[n]}@example.nl" for n in range(8)]
    assert host.put_off("news@pool.example", *recipients, client=POOL) == LONG
    assert host.put_off("news@pool.example", *recipients[1:], client=POOL) <= LONG
    with Session(host.port) as session:
        session.become(POOL)
        for recipient in recipients:
            session.command("MAIL FROM:<news@pool.example>", need=True)
            session.command(f"RCPT TO:<{recipient}>")
            session.command("RSET")
    clock.offset += LONG
    # From the other server of the pool.
    assert host.send("news@pool.example", *recipients, client=POOL_TOO).positive
    for recipient in recipients:
        assert results(host, recipient) == ["pass"]
        [delivery] = host.postfix.wait_for_delivery(recipient)
        assert len(delivery.values(FIELD)) == 1


def test_a_recipient_that_waits_does_not_take_the_field_along(host: Host) -> None:
    """The first recipient is greylisted, the second is not: the mail that goes in bears the SPF result."""
    with Session(host.port) as session:
        session.become(POOL)
        session.command("MAIL FROM:<mixed@pool.example>", need=True)
        assert session.command("RCPT TO:<waits@example.nl>").code == 450
        session.command("RCPT TO:<abuse@example.nl>", need=True)
        session.message(message("mixed@pool.example", "abuse@example.nl"))
    assert results(host, "abuse@example.nl") == ["pass"]
