"""Both engines behind a real Postfix: what dkim-verify and dkim-sign do does not depend on which one runs them."""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.e2e.support import (
    ANNA,
    BERT,
    FRIEND,
    RESULTS,
    Traffic,
    awkward,
    key_entries,
    message,
    nothing_lost,
    records_of,
    zone_of,
)
from tests.harness.daemon import Installation
from tests.harness.dns_server import DnsServer
from tests.harness.keys import KeyPair, ed25519_key, passes, rsa_key
from tests.harness.layouts import Layout, layout_a
from tests.harness.postfix import Postfix, Smtpd
from tests.harness.smtp import STRANGER, RefusedError, Reply, deliver


@dataclass(frozen=True)
class Site:
    """A layout A with both daemons on one engine, and the keys on both sides."""

    layout: Layout
    gatepost: Installation
    ours: tuple[KeyPair, ...]
    theirs: KeyPair

    def results(self, octets: bytes, recipient: str) -> list[str]:
        """The results on a mail that comes from the world."""
        self.layout.receive(octets, FRIEND, [recipient], "BODY=8BITMIME")
        [delivery] = self.layout.postfix.wait_for_delivery(recipient)
        return delivery.values(RESULTS)


@pytest.fixture(scope="module", params=["asyncio", "libmilter"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory: Path = tmp_path_factory.mktemp(request.param)
    ours, theirs = (rsa_key("example.nl"), ed25519_key("example.nl")), rsa_key("example.org")
    sections = {
        "dkim-verify": {"engine": request.param, "on_key_not_found": "reject"},
        "dkim-sign": {"engine": request.param, "keys": key_entries(directory, ours)},
    }
    zone = {**zone_of([theirs]), "mail._domainkey.broken.example.org": ["SERVFAIL"]}
    with (
        DnsServer(zone) as dns,
        Installation(directory, sections, {"dns": {"nameservers": [dns.address]}}) as gatepost,
    ):
        verify, sign = gatepost["dkim-verify"].milter, gatepost["dkim-sign"].milter
        with layout_a(border=[verify], inward=[verify], outward=[sign]) as layout:
            yield Site(layout, gatepost, ours, theirs)


def test_pass_and_fail(site: Site) -> None:
    signed = site.theirs.sign(message(FRIEND, BERT))
    [field] = site.results(signed, "pass@example.nl")
    assert "dkim=pass" in field
    assert "seal" not in field
    [field] = site.results(signed.replace(b"Hello.", b"Hello!"), "fail@example.nl")
    assert "dkim=fail" in field


def test_awkward_mail(site: Site) -> None:
    mails = awkward(FRIEND)
    del mails["bare-carriage-returns"]  # Postfix makes spaces of them before it shows a mail to anyone
    signed = {
        name: site.theirs.sign(octets, canonicalization="simple/simple") for name, octets in mails.items()
    }
    passed = {
        name: ["dkim=pass" in field for field in site.results(octets, f"{name}@example.nl")]
        for name, octets in signed.items()
    }
    assert passed == {name: [True] for name in mails}


def test_forged(site: Site) -> None:
    lie = (RESULTS, "mail.example.nl; dkim=pass header.d=bank.example")
    others = [(RESULTS, f"mx{number}.example.org; dkim=none") for number in range(3)]
    fields = site.results(
        message(FRIEND, BERT, lie, others[0], lie, lie, others[1], others[2], lie), "forged@example.nl"
    )
    assert [field.partition(";")[0] for field in fields] == [
        "mail.example.nl",
        *(value.partition(";")[0] for _, value in others),
    ]
    assert "dkim=none" in fields[0]


def test_temporary_error(site: Site) -> None:
    signed = rsa_key("broken.example.org").sign(message("a@broken.example.org", BERT))
    [field] = site.results(signed, "temperror@example.nl")
    assert "dkim=temperror" in field


def test_refused(site: Site) -> None:
    signed = rsa_key("nokey.example.org").sign(message("a@nokey.example.org", BERT))
    with pytest.raises(RefusedError, match=r"END: 550 5\.7\.20 No key found"):
        site.layout.receive(signed, FRIEND, ["refused@example.nl"])


def test_signed(site: Site) -> None:
    for name, octets in awkward(ANNA).items():
        site.layout.submit(octets, ANNA, [f"{name}@example.org"], "BODY=8BITMIME")
    found = {
        name: passes(
            site.layout.postfix.wait_for_delivery(f"{name}@example.org")[0].octets, records_of(site.ours)
        )
        for name in awkward(ANNA)
    }
    assert found == {name: [True, True] for name in found}


def test_a_worker_that_is_killed_is_replaced(site: Site) -> None:
    [worker] = psutil.Process(site.gatepost["dkim-verify"].process.pid).children()
    worker.kill()
    [field] = site.results(site.theirs.sign(message(FRIEND, BERT)), "killed@example.nl")
    assert "dkim=pass" in field


def test_under_load_with_reloads_and_a_stop(site: Site) -> None:
    """Mail comes in all the while."""
    postfix, verify = site.layout.postfix, site.gatepost["dkim-verify"]
    octets = site.theirs.sign(message(FRIEND, BERT))

    def send(number: int) -> Reply:
        return deliver(postfix.port("mx"), octets, FRIEND, [f"{number}@example.nl"], client=STRANGER)

    with Traffic(send) as traffic:
        for _ in range(2):
            traffic.more(10)
            verify.reload()
        traffic.more(10)
        assert verify.stop() == 0
        verify.start()
        traffic.more(10)
    delivered = nothing_lost(postfix, traffic)
    assert all("dkim=pass" in delivery.values(RESULTS)[0] for delivery in delivered)


@pytest.mark.parametrize("engine", ["asyncio", "libmilter"])
def test_over_a_unix_socket_that_only_postfix_may_use(tmp_path: Path, engine: str) -> None:
    # Not below tmp_path: that is closed to the user postfix.
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        path = Path(directory, "dkim-verify")
        listening = {"address": f"unix:{path}", "mode": "0660", "group": "postfix"}
        section = {"engine": engine, "socket": listening, "seal": False}
        services = [Smtpd(name="mx", milters=[f"unix:{path}"])]
        with Installation(tmp_path, {"dkim-verify": section}) as gatepost, Postfix(services) as postfix:
            assert stat.filemode(path.stat().st_mode) == "srw-rw----"
            for number in range(2):
                deliver(postfix.port("mx"), message(FRIEND, BERT), FRIEND, [BERT], client=STRANGER)
                assert len(postfix.wait_for_delivery(BERT, number + 1)) == number + 1
                gatepost["dkim-verify"].reload()
            fields = [delivery.values(RESULTS) for delivery in postfix.deliveries(BERT)]
        assert [len(each) for each in fields] == [1, 1]
        assert not path.exists()
