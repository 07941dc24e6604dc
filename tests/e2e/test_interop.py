"""What gatepost signs, OpenDKIM and dkimpy accept; what they sign, gatepost accepts: on every awkward mail.

One Postfix is all parties: ports for users whose mail is signed, by gatepost
or by OpenDKIM, and ports of servers elsewhere that verify it. Between them the
mail goes through the outside world, so it has been relayed by SMTP when it is
verified.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import ANNA, FRIEND, RESULTS, awkward, key_entries, message, records_of, zone_of
from tests.harness.daemon import Installation
from tests.harness.delivery import Delivery
from tests.harness.dns_server import DnsServer
from tests.harness.keys import KeyPair, ed25519_key, passes, rsa_key
from tests.harness.opendkim import OpenDkim
from tests.harness.postfix import Postfix, Smtpd
from tests.harness.smtp import STRANGER, Client, deliver

MAILS = awkward(ANNA)

CANONICALIZATIONS = ("relaxed/relaxed", "simple/simple", "relaxed/simple", "simple/relaxed")


@dataclass(frozen=True)
class World:
    """The Postfix, our keys, and dkimpy's view of the DNS."""

    postfix: Postfix
    records: Mapping[str, str]

    def submitted(self, signer: str, mails: Mapping[str, bytes]) -> dict[str, Delivery]:
        """What the world gets when *mails* are sent through the port of *signer*, by their names."""
        return self._through(signer, mails, f"{signer}.%s@example.org", None)

    def results(self, verifier: str, sender: str, mails: Mapping[str, bytes]) -> dict[str, list[str]]:
        """The results that *verifier* writes on mails that *sender* relays from the world, by their names."""
        deliveries = self._through(verifier, mails, f"{sender}.{verifier}.%s@example.nl", STRANGER)
        assert all(deliveries[name].octets.endswith(octets) for name, octets in mails.items())
        return {name: delivery.values(RESULTS) for name, delivery in deliveries.items()}

    def _through(
        self, service: str, mails: Mapping[str, bytes], address: str, client: Client | None
    ) -> dict[str, Delivery]:
        def send(name: str) -> None:
            to = [address % name]
            deliver(self.postfix.port(service), mails[name], ANNA, to, "BODY=8BITMIME", client=client)

        # Side by side: over TCP, OpenDKIM takes its time for each.
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(send, mails))
        return {name: self.postfix.wait_for_delivery(address % name)[0] for name in mails}

    def passed(self, verifier: str, signer: str, sent: Mapping[str, Delivery]) -> dict[str, int]:
        """How many signatures pass for *verifier*, by the mails' names; -1 unless they stand in one field."""
        mails = {name: delivery.octets for name, delivery in sent.items()}
        return {
            name: fields[0].count("dkim=pass") if len(fields) == 1 else -1
            for name, fields in self.results(verifier, signer, mails).items()
        }


def signers(directory: Path, keys: Mapping[str, KeyPair]) -> dict[str, dict[str, Any]]:
    """Our signing daemons: each canonicalization with both keys, and each key alone."""
    entries = dict(zip(keys, key_entries(directory, keys.values()), strict=True))
    both = {
        f"gatepost-{number}": {"canonicalization": form, "keys": list(entries.values())}
        for number, form in enumerate(CANONICALIZATIONS)
    }
    alone = {f"gatepost-{name}": {"keys": [entry]} for name, entry in entries.items()}
    return {name: {"kind": "dkim-sign", **options} for name, options in (both | alone).items()}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("interop")
    keys = {"rsa": rsa_key("example.nl"), "ed": ed25519_key("example.nl")}
    second = rsa_key("example.nl", "second")
    records = records_of([*keys.values(), second])
    peers = {
        "opendkim-relaxed": OpenDkim(directory / "relaxed", keys=[keys["rsa"], second]),
        "opendkim-simple": OpenDkim(
            directory / "simple", keys=[keys["rsa"]], canonicalization="simple/simple"
        ),
        "opendkim-mixed": OpenDkim(directory / "mixed", keys=[second], canonicalization="relaxed/simple"),
        "opendkim-verifies": OpenDkim(directory / "verifier", records=records),
    }
    with DnsServer(zone_of([*keys.values(), second])) as dns:
        sections = {**signers(directory, keys), "dkim-verify": {"seal": False}}
        gatepost = Installation(directory, sections, {"dns": {"nameservers": [dns.address]}})
        milters = {name: daemon.milter for name, daemon in gatepost.daemons.items()}
        milters |= {name: peer.milter for name, peer in peers.items()}
        services = [Smtpd(name=name, milters=[milter]) for name, milter in milters.items()]
        try:
            for peer in peers.values():
                peer.start()
            with gatepost, Postfix(services) as postfix:
                yield World(postfix, records)
        finally:
            for peer in peers.values():
                peer.stop()


@pytest.mark.parametrize("form", CANONICALIZATIONS)
def test_opendkim_and_dkimpy_accept_what_we_sign(world: World, form: str) -> None:
    signer = f"gatepost-{CANONICALIZATIONS.index(form)}"
    sent = world.submitted(signer, MAILS)
    for delivery in sent.values():
        assert [f"c={form};" in value for value in delivery.values("DKIM-Signature")] == [True, True]
    verdicts = {name: passes(delivery.octets, world.records) for name, delivery in sent.items()}
    assert verdicts == {name: [True, True] for name in MAILS}
    assert world.passed("opendkim-verifies", signer, sent) == dict.fromkeys(MAILS, 2)


@pytest.mark.parametrize(
    ("signer", "signatures"), [("opendkim-relaxed", 2), ("opendkim-simple", 1), ("opendkim-mixed", 1)]
)
def test_we_accept_what_opendkim_signs(world: World, signer: str, signatures: int) -> None:
    sent = world.submitted(signer, MAILS)
    assert {len(delivery.values("DKIM-Signature")) for delivery in sent.values()} == {signatures}
    assert world.passed("dkim-verify", signer, sent) == dict.fromkeys(MAILS, signatures)


@pytest.mark.parametrize("signer", ["gatepost-rsa", "gatepost-ed"])
def test_one_key_alone(world: World, signer: str) -> None:
    sent = world.submitted(signer, {"plain": message(ANNA, FRIEND)})
    assert passes(sent["plain"].octets, world.records) == [True]
    for verifier in ("opendkim-verifies", "dkim-verify"):
        assert world.passed(verifier, signer, sent) == {"plain": 1}


def test_a_mail_to_many_is_signed_once_for_all(world: World) -> None:
    recipients = [f"many{number}@example.org" for number in range(60)]
    octets = message(ANNA, "undisclosed-recipients:;")
    deliver(world.postfix.port("gatepost-0"), octets, ANNA, recipients)
    copies = [world.postfix.wait_for_delivery(recipient) for recipient in recipients]
    signatures = {tuple(copy.values("DKIM-Signature")) for [copy] in copies}
    assert [len(signature) for signature in signatures] == [2]
    assert passes(copies[0][0].octets, world.records) == [True, True]


@pytest.mark.parametrize("number", range(len(CANONICALIZATIONS)))
def test_one_octet_more_or_less_is_noticed(world: World, number: int) -> None:
    """That all of the above pass is worth something only while others fail."""
    signer = f"gatepost-{number}"
    octets = message(ANNA, FRIEND, body="one two\nthree\n")
    sent = world.submitted(signer, {"to-be-altered": octets})["to-be-altered"].octets
    altered = {
        "body": sent.replace(b"one two", b"onetwo"),
        "end": sent + b"x\r\n",
        "subject": sent.replace(b"A word", b"Aword"),
        "added": b"From: other@example.net\r\n" + sent,
    }
    for verifier in ("opendkim-verifies", "dkim-verify"):
        results = world.results(verifier, signer, altered)
        assert {name for name, [field] in results.items() if "dkim=pass" not in field} == set(altered)
