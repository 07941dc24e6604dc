"""``gatepost testkey``: which keys it looks at, what it tells, and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gatepost.cli import main
from gatepost.dkim.keys.make import pem
from tests.harness.dns_server import DnsServer
from tests.harness.waiting import PATIENCE
from tests.unit.dkim.support import ed25519_key, record, rsa_key

RSA, ED = rsa_key(), ed25519_key()
MONTH = 30 * 86_400


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A server that signs for three domains, and what of that is in the DNS."""
    for name, key in (("rsa", RSA), ("ed", ED)):
        file = tmp_path / f"{name}.private"
        file.write_bytes(pem(key))
        file.chmod(0o600)
    rsa, ed = record(RSA).decode(), record(ED).decode()
    (tmp_path / "zone.yaml").write_text(f"""
mail._domainkey.example.nl: [{{TXT: "{rsa}"}}]
ed._domainkey.example.nl: [{{TXT: "{ed}"}}]
ed._domainkey.example.org: [{{TXT: "{ed}"}}]
mail._domainkey.example.com.example.com: [{{TXT: "{rsa}"}}]
any._domainkey.example.net: [{{TXT: "{rsa}"}}]
down._domainkey.example.nl: [TIMEOUT]
""")
    (tmp_path / "gatepost.yaml").write_text(f"""
authserv_id: mx.example.nl
dns: {{zone: {tmp_path}/zone.yaml}}
daemons:
  dkim-sign:
    socket: inet:8892@127.0.0.1
    keys:
      - {{domain: example.nl, selector: mail, file: {tmp_path}/rsa.private}}
      - {{domain: "*@example.nl", selector: ed, file: {tmp_path}/ed.private}}
      - {{domain: example.org, selector: ed, file: {tmp_path}/ed.private}}
      - {{domain: example.com, selector: mail, file: {tmp_path}/rsa.private}}
      - {{domain: "*", selector: any, file: {tmp_path}/rsa.private}}
""")
    return tmp_path


def run(site: Path, *arguments: str) -> int:
    return main(["testkey", *arguments, "--config", str(site / "gatepost.yaml")])


def report(site: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    status = run(site, *arguments, "--json")
    return status, json.loads(capsys.readouterr().out)


def test_all_keys_of_the_configuration(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = report(site, capsys)
    assert status == 1
    assert [(key["name"], key["status"]) for key in found["keys"]] == [
        ("mail._domainkey.example.nl", "ok"),
        ("ed._domainkey.example.nl", "ok"),
        ("ed._domainkey.example.org", "ok"),
        ("mail._domainkey.example.com", "missing"),
    ]
    assert "lacks the final dot" in found["keys"][3]["problems"][0]
    alone, anybody = found["warnings"]
    assert alone.startswith("example.org has Ed25519 keys alone")
    assert anybody.startswith("the key with selector any signs for any domain")


def test_a_domain_for_people(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(site, "example.nl", "--selector", "mail") == 0
    assert (
        capsys.readouterr().out
        == f"""\
mail._domainkey.example.nl
  the record holds the public half of the key
  file       {site}/rsa.private
  published  RSA, 2048 bits

in order
"""
    )


def test_a_record_that_is_missing(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(site, "mail._domainkey.example.com") == 1
    out = capsys.readouterr().out
    assert f"  publish  {record(RSA).decode()}\n" in out
    assert out.endswith("\n1 of 1 not in order\n")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["example.net"], ["any._domainkey.example.net"]),
        (["example.org"], ["ed._domainkey.example.org", "any._domainkey.example.org"]),
        (["MAIL._domainkey.Example.NL"], ["mail._domainkey.example.nl"]),
        (["example.nl", "--selector", "unknown"], ["unknown._domainkey.example.nl"]),
        (["--selector", "ed"], ["ed._domainkey.example.nl", "ed._domainkey.example.org"]),
        (["ed._domainkey.example.nl", "ed._domainkey.example.nl"], ["ed._domainkey.example.nl"]),
    ],
)
def test_which_keys(
    site: Path, arguments: list[str], names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    _, found = report(site, capsys, *arguments)
    assert [key["name"] for key in found["keys"]] == names


def test_a_file_in_place_of_the_configuration(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("mail._domainkey.example.nl", "--file", str(site / "ed.private"))
    status, found = report(site, capsys, *arguments)
    assert (status, found["keys"][0]["same"]) == (1, False)
    assert found["keys"][0]["problems"] == [
        "the record is of another key: RSA, 2048 bits; the file holds Ed25519"
    ]
    assert found["warnings"] == []


def test_without_a_configuration(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["testkey", "mail._domainkey.example.nl", "--zone", str(site / "zone.yaml")]
    assert main(arguments) == 0
    assert "there is no key file to compare it with" in capsys.readouterr().out


def test_hints_about_the_file(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = site / "rsa.private"
    old = file.stat().st_mtime - 2 * MONTH
    os.utime(file, (old, old))
    arguments = ("mail._domainkey.example.nl", "--file", str(file))
    assert report(site, capsys, *arguments)[1]["keys"][0]["warnings"] == []
    status, found = report(site, capsys, *arguments, "--max-age", "30d")
    assert status == 0
    assert found["keys"][0]["warnings"] == [
        "the file is 60 days old: time for a new key under a new selector?"
    ]
    file.chmod(0o644)
    [warning] = report(site, capsys, *arguments)[1]["keys"][0]["warnings"]
    assert "can be read by every user" in warning


def test_the_dns_does_not_tell(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = report(site, capsys, "down._domainkey.example.nl")
    assert (status, found["keys"][0]["status"]) == (1, "unknown")


def test_the_time_to_live(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "mail._domainkey.example.nl"
    with DnsServer({name: [{"TXT": record(RSA).decode()}, {"TTL": 86_400}]}) as server:
        file = tmp_path / "gatepost.yaml"
        file.write_text(
            f'dns: {{nameservers: ["{server.address}"]}}\n'
            "daemons: {dkim-verify: {socket: inet:8891@127.0.0.1}}\n"
        )
        assert main(["testkey", name, "--config", str(file)]) == 0
    assert "  kept for   86400 s (TTL)\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["example.org", "--file", "{site}/ed.private"], "--file goes with one domain and a --selector"),
        (["--file", "{site}/ed.private", "--selector", "x"], "--file goes with one domain"),
        (["a._domainkey.example.nl", "--selector", "b"], "has another selector"),
        (["not a domain"], "is not a domain"),
        (["example.nl", "--file", "/nonexistent", "--selector", "x"], "does not exist"),
        (["--selector", "nobody"], "the configuration names no such key"),
        (["example.nl", "--zone", "/nonexistent"], "No such file"),
        (["example.nl", "--max-age", "soon"], "expected a time"),
    ],
)
def test_wrong_arguments(
    site: Path, arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = run(site, *(each.format(site=site) for each in arguments))
    except SystemExit as error:
        status = int(error.code or 0)
    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    assert text in captured.err


def test_a_domain_without_a_configured_key(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = site / "gatepost.yaml"
    file.write_text(file.read_text().replace('"*"', "elsewhere.example"))
    assert run(site, "example.net") == 2
    assert "no key of example.net is configured: name a --selector" in capsys.readouterr().err


def test_a_configuration_whose_keys_are_broken(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (site / "ed.private").unlink()
    assert run(site) == 78
    assert f"{site}/gatepost.yaml:9:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        "key_path: '{site}/{{domain}}/{{selector}}.key'\n    selector: mail",
        "key_table: {site}/KeyTable\n    signing_table: refile:{site}/SigningTable",
        "key_list: {site}/keylist",
    ],
)
def test_every_source_names_its_keys(site: Path, options: str, capsys: pytest.CaptureFixture[str]) -> None:
    place = site / "example.nl"
    place.mkdir()
    for name in ("mail.key", "mail"):
        (place / name).write_bytes(pem(RSA))
        (place / name).chmod(0o600)
    (site / "KeyTable").write_text(f"key example.nl:mail:{place}/mail\n")
    (site / "SigningTable").write_text("*@example.nl key\n")
    (site / "keylist").write_text(f"*@example.nl:example.nl:{place}/mail\n")
    (site / "gatepost.yaml").write_text(
        f"dns: {{zone: {site}/zone.yaml}}\n"
        f"daemons:\n  dkim-sign:\n    socket: inet:8892@127.0.0.1\n    {options.format(site=site)}\n"
    )
    for arguments in ((), ("example.nl",)):
        status, found = report(site, capsys, *arguments)
        assert status == 0
        assert [(key["name"], key["status"]) for key in found["keys"]] == [
            ("mail._domainkey.example.nl", "ok")
        ]


def test_what_keygen_says_to_publish_is_in_order(tmp_path: Path) -> None:
    """From the making of a key to the check, by two runs of the program."""
    root = Path(__file__).parents[3]

    def gatepost(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "gatepost", *arguments]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=PATIENCE)

    file = tmp_path / "key"
    made = gatepost("keygen", "example.nl", "--output", str(file), "--format", "line")
    assert made.returncode == 0
    name, _, text = made.stdout.strip().partition(" ")
    zone = tmp_path / "zone.yaml"
    zone.write_text(json.dumps({name: [{"TXT": text}]}))
    done = gatepost("testkey", name, "--file", str(file), "--zone", str(zone))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("\nin order\n")
