"""The files of conf/postfix on a real Postfix: only addresses and ports are others. And what is said of it."""

from __future__ import annotations

import json
import os
import re
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import ANNA, BERT, FRIEND, RESULTS, key_entries, message, zone_of
from tests.harness.certificate import certificate
from tests.harness.daemon import Installation
from tests.harness.delivery import Delivery
from tests.harness.dns_server import DnsServer
from tests.harness.keys import KeyPair, passes, rsa_key
from tests.harness.layouts import USERS, layout_b, layout_c
from tests.harness.passthrough import PassThrough
from tests.harness.ports import LOOPBACK, free_port
from tests.harness.postfix import Postfix
from tests.harness.smtp import STRANGER, Client, RefusedError, deliver

CONF = Path(__file__).parents[2] / "conf" / "postfix"
LONG_AGO = 1_000_000_000
ATTACKER = Client("198.51.100.66", "mail.evil.example", "mail.evil.example")
FORGED = (RESULTS, "mail.example.nl; dkim=pass header.d=bank.example; dmarc=pass header.from=bank.example")
SCANNED = b"Received: from a (b [127.0.0.1])\r\n\tby c (amavis, port 10028)\r\nX-Spam-Status: No\r\n"

TLS = "tlsmgr unix - - n 1000? 1 tlsmgr\n"

ZONE: Mapping[str, Sequence[str | Mapping[str, Any]]] = {
    "example.org": [{"TXT": f"v=spf1 ip4:{STRANGER.address} -all"}],
    "_dmarc.example.org": [{"TXT": "v=DMARC1; p=reject"}],
    "bank.example": [{"TXT": "v=spf1 -all"}],
    "_dmarc.bank.example": [{"TXT": "v=DMARC1; p=reject"}],
    "evil.example": [{"TXT": f"v=spf1 ip4:{ATTACKER.address} -all"}],
}
GUIDES = {
    "dkim-verify": 8891,
    "dkim-sign": 8892,
    "dmarc-enforce": 8893,
    "dmarc-stamp": 8894,
    "greylist": 10023,
}
FILTERS = {10024: 10025, 10028: 10027}


class Shipped(Postfix):
    """A Postfix with the shipped files of *kind*; *ports* gives the port for each one that the guides use."""

    def __init__(self, kind: str, ports: Mapping[int, int], certificate: Path) -> None:
        certificates = {name: str(certificate) for name in ("smtpd_tls_cert_file", "smtpd_tls_key_file")}
        super().__init__([], users=USERS, options=certificates)
        self._kind = kind
        self._ports = ports
        self._public = {name: free_port() for name in ("smtp", "submission", "smtps")}

    def port(self, name: str) -> int:
        return self._public[name]

    def _shipped(self, name: str) -> str:
        text = (CONF / self._kind / name).read_text()
        text = re.sub(
            r"\b(8891|8892|8893|8894|100\d\d)\b", lambda found: str(self._ports[int(found[0])]), text
        )
        text = text.replace("/etc/postfix/", f"{self._configuration}/")
        public = r"(?m)^(smtp|submission|smtps)(?=\s+inet)"
        return re.sub(public, lambda found: f"{LOOPBACK}:{self._public[found[0]]}", text)

    def _main(self) -> str:
        return super()._main() + self._shipped("main.cf")

    def _lay_out(self) -> None:
        super()._lay_out()
        master = self._configuration / "master.cf"
        master.write_text(f"{self._shipped('master.cf')}{TLS}{master.read_text()}")
        for path in (CONF / self._kind).glob("*_headers"):
            (self._configuration / path.name).write_text(path.read_text())
        for path in self._configuration.iterdir():
            os.utime(path, (LONG_AGO, LONG_AGO))

    @property
    def configuration(self) -> Path:
        return self._configuration


@dataclass(frozen=True)
class Site:
    """A server as it is shipped, all daemons running."""

    kind: str
    postfix: Shipped
    gatepost: Installation
    ours: KeyPair
    theirs: KeyPair
    filters: Sequence[PassThrough]

    @property
    def filtered(self) -> int:
        """How many messages have gone by a filter."""
        return sum(each.messages for each in self.filters)

    def receive(
        self, octets: bytes, recipient: str, sender: str = FRIEND, client: Client = STRANGER
    ) -> Delivery:
        deliver(self.postfix.port("smtp"), octets, sender, [recipient], client=client)
        [delivery] = self.postfix.wait_for_delivery(recipient)
        return delivery


@pytest.fixture(scope="module", params=["filtered", "simple"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    kind: str = request.param
    directory = tmp_path_factory.mktemp("shipped")
    ours, theirs = rsa_key("example.nl"), rsa_key("example.org")
    sections: dict[str, dict[str, Any]] = {
        "dkim-verify": {},
        "dkim-sign": {"keys": key_entries(directory, [ours])},
        "dmarc-enforce": {"kind": "dmarc", "history": str(directory / "dmarc.db")},
        "dmarc-stamp": {"kind": "dmarc", "mode": "stamp"},
        "spf": {},
        "greylist": {"store": f"sqlite:{directory / 'greylist.sqlite'}", "delay": "1s", "dry_run": True},
    }
    if kind == "simple":
        del sections["dmarc-stamp"]
    with ExitStack() as running:
        dns = running.enter_context(DnsServer({**ZONE, **zone_of([ours, theirs])}))
        gatepost = Installation(directory, sections, {"dns": {"nameservers": [dns.address]}})
        ports = {port: gatepost[name].port for name, port in GUIDES.items() if name in sections}
        filters = []
        if kind == "filtered":
            ports |= {port: free_port() for port in (*FILTERS, *FILTERS.values())}
            for listening, target in FILTERS.items():
                scanner = PassThrough(ports[target], ports[listening], change=lambda octets: SCANNED + octets)
                filters.append(running.enter_context(scanner))
        postfix = running.enter_context(Shipped(kind, ports, certificate(directory / "tls.pem")))
        socket = {"address": f"unix:{postfix.directory}/queue/private/gatepost-spf", "group": "postfix"}
        gatepost.configure({"spf": {**sections["spf"], "socket": socket}})
        running.enter_context(gatepost)
        yield Site(kind, postfix, gatepost, ours, theirs, filters)


def check(file: Path, configuration: Path) -> tuple[int, list[dict[str, str]]]:
    """Exit status and findings of ``gatepost check --postfix``."""
    command = [sys.executable, "-m", "gatepost", "check", "--config", str(file), "--json"]
    done = subprocess.run(
        [*command, "--postfix", "--config-directory", str(configuration)],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.stdout, done.stderr
    findings: list[dict[str, str]] = json.loads(done.stdout)["postfix"]
    return done.returncode, findings


def test_mail_from_the_world_arrives_with_all_results(site: Site) -> None:
    mail = site.theirs.sign(message(FRIEND, BERT, FORGED))
    delivery = site.receive(mail, "in@example.nl")
    fields = [value for value in delivery.values(RESULTS) if value.startswith("mail.example.nl;")]
    written = " ".join(fields)
    assert len(fields) == 3
    assert all(result in written for result in ("spf=pass", "dkim=pass", "dmarc=pass"))
    assert "bank.example" not in written
    assert b"gatepost-seal" not in delivery.octets
    assert passes(delivery.octets, {site.theirs.name: site.theirs.record}) == [True]


def test_forgeries_are_refused_while_the_sender_is_there(site: Site) -> None:
    with pytest.raises(RefusedError) as refused:
        site.receive(message("ceo@bank.example", BERT), "forged@example.nl", "x@evil.example", ATTACKER)
    assert refused.value.stage == "END"
    assert "bank.example" in refused.value.reply.text


def test_strangers_are_not_signed_for(site: Site) -> None:
    delivery = site.receive(message(ANNA, BERT), "impostor@example.nl")
    assert delivery.values("DKIM-Signature") == []


@pytest.mark.parametrize("name", ["submission", "smtps"])
def test_users_are_signed_for(site: Site, name: str) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    recipient = f"{name}@example.org"
    before = site.filtered
    port = site.postfix.port(name)
    session = (
        smtplib.SMTP_SSL(LOOPBACK, port, context=context) if name == "smtps" else smtplib.SMTP(LOOPBACK, port)
    )
    with session:
        if name == "submission":
            session.starttls(context=context)
        session.login("anna@example.nl", "secret")
        mail = message(ANNA, FRIEND, FORGED, ("User-Agent", "Some mailer"))
        session.sendmail(ANNA, [recipient], mail)
    [delivery] = site.postfix.wait_for_delivery(recipient)
    assert passes(delivery.octets, {site.ours.name: site.ours.record}) == [True]
    assert [value for value in delivery.values(RESULTS) if "bank.example" in value] == []
    assert site.filtered == before + bool(site.filters)
    if site.kind == "filtered":
        # The clean-up came before the signature.
        for field in ("Received", "User-Agent", "X-Spam-Status"):
            assert delivery.values(field) == [], field


def test_nobody_submits_without_a_login(site: Site) -> None:
    with smtplib.SMTP(LOOPBACK, site.postfix.port("submission")) as session:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        session.starttls(context=context)
        with pytest.raises(smtplib.SMTPException):
            session.sendmail(ANNA, [FRIEND], message(ANNA, FRIEND))


def test_the_filter_saw_it_all(site: Site) -> None:
    before = site.filtered
    site.receive(site.theirs.sign(message(FRIEND, BERT)), "seen@example.nl")
    assert site.filtered == before + bool(site.filters)


def test_check_has_nothing_to_say(site: Site) -> None:
    status, findings = check(site.gatepost.file, site.postfix.configuration)
    # What it says of the version is the version's business.
    assert [finding for finding in findings if finding["place"] != "mail_version"] == []
    assert status == any(finding["level"] == "error" for finding in findings)


def test_check_finds_the_milters_that_see_nothing(tmp_path: Path) -> None:
    gatepost = Installation(tmp_path, {"dkim-verify": {"seal": False}})
    verify = gatepost["dkim-verify"].milter
    own = {"mynetworks": "127.0.0.0/8 [::1]/128", "smtpd_forbid_bare_newline": "normalize"}
    with layout_b(border=[verify], options=own) as layout:
        status, findings = check(gatepost.file, layout.postfix.directory / "etc")
        port, inward = layout.postfix.port("mx"), layout.postfix.port("inward")
    assert status == 1
    assert [
        (finding["level"], finding["place"]) for finding in findings if finding["place"] != "mail_version"
    ] == [
        ("error", f"{LOOPBACK}:{port}/inet"),
        ("error", f"{LOOPBACK}:{inward}/inet"),
        ("error", "daemons.dkim-verify.verify_local"),
    ]


@pytest.mark.parametrize("engine", ["asyncio", "libmilter"])
def test_lists_of_macros_need_no_care(tmp_path: Path, engine: str) -> None:
    """Postfix is told to say nothing of logins, and by them alone is it known who is signed for."""
    key = rsa_key("example.nl")
    sign = {"keys": key_entries(tmp_path, [key]), "engine": engine}
    with Installation(tmp_path, {"dkim-sign": sign}, {"trusted_networks": ["192.0.2.1"]}) as gatepost:
        macros = {"milter_connect_macros": "j", "milter_mail_macros": "j", "milter_protocol": "6"}
        with layout_c(milters=[gatepost["dkim-sign"].milter], options=macros) as layout:
            layout.submit(message(ANNA, FRIEND), ANNA, [FRIEND])
            [delivery] = layout.postfix.wait_for_delivery(FRIEND)
    assert passes(delivery.octets, {key.name: key.record}) == [True]
