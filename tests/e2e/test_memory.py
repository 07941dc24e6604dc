"""Bodies are never held: twenty mails of 20 MB at once fit into a worker of ordinary size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.e2e.support import ANNA, FRIEND, key_entries, message, zone_of
from tests.harness.daemon import Installation
from tests.harness.dns_server import DnsServer
from tests.harness.keys import KeyPair, rsa_key
from tests.harness.mail import parse
from tests.harness.milter_client import Mail, MilterClient
from tests.harness.ports import LOOPBACK

CLIENTS = 20
BODY_MEGABYTES = 20
LIMIT_MEGABYTES = 120

# Words with one space, as most text, and with the white space that relaxed has to look for.
_PARAGRAPH = "The quick brown fox jumps over the lazy dog, and so on to the end.\n" * 20 + "a  b \t c \n\n \n"


@dataclass(frozen=True)
class Mails:
    """A large mail without a signature and with one, and the key of the world."""

    unsigned: bytes
    signed: bytes
    theirs: KeyPair


@pytest.fixture(scope="module")
def mails() -> Mails:
    body = _PARAGRAPH * (BODY_MEGABYTES * 1024 * 1024 // len(_PARAGRAPH))
    theirs = rsa_key("example.org")
    return Mails(message(ANNA, FRIEND, body=body), theirs.sign(message(FRIEND, ANNA, body=body)), theirs)


@pytest.fixture
def gatepost(tmp_path: Path, mails: Mails) -> Iterator[Installation]:
    sections = {"dkim-verify": {}, "dkim-sign": {"keys": key_entries(tmp_path, [rsa_key("example.nl")])}}
    with (
        DnsServer(zone_of([mails.theirs])) as dns,
        Installation(tmp_path, sections, {"dns": {"nameservers": [dns.address]}}) as installation,
    ):
        yield installation


def peaks(pid: int) -> list[float]:
    """The most memory that each worker ever had, in megabytes."""
    found = []
    for worker in psutil.Process(pid).children():
        lines = Path(f"/proc/{worker.pid}/status").read_text().splitlines()
        [peak] = [line for line in lines if line.startswith("VmHWM:")]
        found.append(int(peak.split()[1]) / 1024)
    return found


def sent_side_by_side(port: int, mail: Mail) -> list[list[bytes]]:
    """Send *mail* from all clients, a chunk each in turn; the header fields that each of them got."""
    with ExitStack() as open_ones:
        clients = [open_ones.enter_context(MilterClient((LOOPBACK, port))) for _ in range(CLIENTS)]
        # None but the last step is answered, so a step is nothing but what is to be written.
        for stage, data, answered in clients[0].script.steps(mail, new_session=True):
            assert answered is (stage == "eom")
            for client in clients:
                client.raw(data)
        return [fields(client) for client in clients]


def fields(client: MilterClient) -> list[bytes]:
    """The header fields that are inserted, up to the verdict."""
    found = []
    while (packet := client.read_packet())[0] not in (b"a", b"c"):
        assert packet[0] == b"i"
        found.append(packet[1][4:])
    return found


@pytest.mark.parametrize(
    ("name", "signed", "client", "expected"),
    [
        ("dkim-verify", False, "192.0.2.10", b"dkim=none"),
        ("dkim-verify", True, "192.0.2.10", b"dkim=pass"),
        ("dkim-sign", False, LOOPBACK, b"DKIM-Signature"),
    ],
)
def test_many_large_mails_at_once(
    gatepost: Installation, mails: Mails, name: str, signed: bool, client: str, expected: bytes
) -> None:
    headers, body = parse(mails.signed if signed else mails.unsigned)
    daemon = gatepost[name]
    results = sent_side_by_side(daemon.port, Mail(headers=headers, body=body, client_address=client))
    assert [len(found) for found in results] == [1] * CLIENTS
    assert all(expected in found[0] for found in results)
    [peak] = peaks(daemon.process.pid)
    assert peak < LIMIT_MEGABYTES


def test_bodies_that_hold_back_what_they_come_to(gatepost: Installation) -> None:
    """White space and empty lines may yet turn out to be the end, or not; and there are lines without one."""
    headers, _ = parse(message(ANNA, FRIEND))
    daemon = gatepost["dkim-sign"]
    with MilterClient((LOOPBACK, daemon.port)) as client:
        for unit in (b" \t", b"\r\n", b" \r\n", b"\r", b"x"):
            body = unit * (BODY_MEGABYTES * 1024 * 1024 // len(unit)) + b"end\r\n"
            result = client.send(Mail(headers=headers, body=body, client_address=LOOPBACK))
            assert len(result.values(b"DKIM-Signature")) == 1
    [peak] = peaks(daemon.process.pid)
    assert peak < LIMIT_MEGABYTES / 2
