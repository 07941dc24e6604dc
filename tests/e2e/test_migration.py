"""An OpenDKIM whose tables gatepost takes over as they are, byte for byte."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.support import ANNA, FRIEND, message
from tests.harness.daemon import Installation
from tests.harness.keys import passes
from tests.harness.opendkim import OpenDkim
from tests.harness.ports import LOOPBACK
from tests.harness.postfix import Postfix, Smtpd
from tests.harness.smtp import RefusedError, deliver

SELECTORS = {"example.nl": "mail", "example.com": "2026"}
PEERS = ("opendkim", "dkim-sign")


@dataclass(frozen=True)
class Move:
    """One Postfix with OpenDKIM on a port and dkim-sign on another, both on the same tables."""

    postfix: Postfix
    gatepost: Installation
    records: dict[str, str]


def published(file: Path) -> str:
    """The record in the zone file line that opendkim-genkey writes."""
    return "".join(file.read_text().split('"')[1::2])


def lay_out(directory: Path) -> dict[str, str]:
    """An /etc/opendkim as the guides have it made; returns the records of its keys."""
    genkey = shutil.which("opendkim-genkey")
    if genkey is None:
        pytest.skip("opendkim-genkey is not installed")
    records = {}
    for domain, selector in SELECTORS.items():
        keys = directory / "keys" / domain
        keys.mkdir(parents=True, mode=0o750)
        subprocess.run([genkey, "-b", "2048", "-D", str(keys), "-d", domain, "-s", selector], check=True)
        (keys / f"{selector}.private").chmod(0o600)
        records[f"{selector}._domainkey.{domain}"] = published(keys / f"{selector}.txt")
    (directory / "KeyTable").write_text(f"""\
mail._domainkey.example.nl example.nl:mail:{directory}/keys/example.nl/mail.private

# The second site
2026._domainkey.example.com\texample.com:2026:{directory}/keys/example.com/2026.private
gone._domainkey.example.edu example.edu:gone:{directory}/keys/gone.private
""")
    (directory / "SigningTable").write_text("""\
*@example.nl mail._domainkey.example.nl
info@example.com  2026._domainkey.example.com
*@*.example.com   2026._domainkey.example.com
*@example.edu gone._domainkey.example.edu
""")
    return records


@pytest.fixture(scope="module")
def move(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Move]:
    directory = tmp_path_factory.mktemp("opendkim")
    records = lay_out(directory)
    tables = {
        "KeyTable": f"refile:{directory}/KeyTable",
        "SigningTable": f"refile:{directory}/SigningTable",
    }
    (directory / "TrustedHosts").write_text(f"{LOOPBACK}\n::1\nlocalhost\n")
    opendkim = OpenDkim(
        directory / "run",
        options={
            **tables,
            "Mode": "s",
            "InternalHosts": f"refile:{directory}/TrustedHosts",
            "SignatureAlgorithm": "rsa-sha256",
            "MinimumKeyBits": "2048",
            "OversignHeaders": "From",
        },
    )
    section = {"key_table": tables["KeyTable"], "signing_table": tables["SigningTable"]}
    gatepost = Installation(directory / "gatepost", {"dkim-sign": section})
    milters = {"opendkim": opendkim.milter, "dkim-sign": gatepost["dkim-sign"].milter}
    services = [Smtpd(name=name, milters=[milters[name]]) for name in PEERS]
    with opendkim, gatepost, Postfix(services) as postfix:
        yield Move(postfix, gatepost, records)


def tags(value: str) -> dict[str, str]:
    pairs = (tag.partition("=") for tag in value.split(";"))
    return {name.strip(): "".join(content.split()) for name, _, content in pairs}


@pytest.mark.parametrize(
    ("sender", "signer"),
    [
        (ANNA, "example.nl/mail"),
        ("Anna <ANNA@Example.NL>", "example.nl/mail"),
        ("info@example.com", "example.com/2026"),
        ("anyone@shop.example.com", "example.com/2026"),
        ("other@example.com", ""),
        ("anna@sub.example.nl", ""),
    ],
)
def test_both_sign_for_the_same_senders_in_the_same_name(move: Move, sender: str, signer: str) -> None:
    found = {}
    for number, peer in enumerate(PEERS):
        recipient = f"{re.sub(r'[^a-z]+', '-', sender.lower())}.{number}@example.org"
        deliver(move.postfix.port(peer), message(sender, FRIEND), ANNA, [recipient])
        [sent] = move.postfix.wait_for_delivery(recipient)
        signatures = [tags(value) for value in sent.values("DKIM-Signature")]
        found[peer] = ["{d}/{s}".format_map(signature) for signature in signatures]
        assert passes(sent.octets, move.records) == [True] * len(signatures)
    assert found == dict.fromkeys(PEERS, [signer] if signer else [])


def test_a_key_that_is_added_to_the_tables_signs_without_a_restart(move: Move, tmp_path: Path) -> None:
    daemon = move.gatepost["dkim-sign"]
    directory = move.gatepost.file.parent.parent
    with (directory / "SigningTable").open("a") as table:
        table.write("*@example.net 2026._domainkey.example.com\n")
    daemon.reload()
    deliver(move.postfix.port("dkim-sign"), message("new@example.net", FRIEND), ANNA, ["added@example.org"])
    [sent] = move.postfix.wait_for_delivery("added@example.org")
    assert passes(sent.octets, move.records) == [True]


def test_why_a_mail_is_not_signed_stands_in_the_log(move: Move) -> None:
    deliver(move.postfix.port("dkim-sign"), message("x@example.info", FRIEND), ANNA, ["why@example.org"])
    move.postfix.wait_for_delivery("why@example.org")
    [line] = [line for line in move.gatepost["dkim-sign"].log().splitlines() if "sender=example.info" in line]
    assert "signed=no" in line
    assert "SigningTable" in line


def test_a_key_that_is_not_there_is_no_reason_to_send_unsigned(move: Move) -> None:
    """As with OpenDKIM, the mail waits for the operator."""
    for peer in PEERS:
        with pytest.raises(RefusedError, match="END: 451"):
            deliver(move.postfix.port(peer), message("x@example.edu", FRIEND), ANNA, ["gone@example.org"])
    [line] = [line for line in move.gatepost["dkim-sign"].log().splitlines() if "sender=example.edu" in line]
    assert "gone.private" in line
    assert "action=tempfail" in line
