"""``gatepost dns``: what is published beside what should be, line by line, and the exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from gatepost.cli import main
from gatepost.dkim.keys.make import pem
from gatepost.dns.answer import Answer, Outcome
from gatepost.examine.item import Status
from gatepost.examine.tls_policy import judge_rpt, judge_sts
from tests.unit.dkim.support import ed25519_key, record, rsa_key

GOOD: dict[str, list[Any]] = {
    "example.nl": [
        {"TXT": "v=spf1 mx include:_spf.example.net -all"},
        {"TXT": "something else"},
        {"MX": [10, "mail.example.nl"]},
    ],
    "_spf.example.net": [{"TXT": "v=spf1 ip4:203.0.113.0/24 -all"}],
    "mail.example.nl": [{"A": "192.0.2.25"}, {"AAAA": "2001:db8::25"}],
    "25.2.0.192.in-addr.arpa": [{"PTR": "mail.example.nl"}],
    "5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa": [{"PTR": "MAIL.example.nl"}],
    "mail._domainkey.example.nl": [{"TXT": record(rsa_key()).decode()}],
    "_dmarc.example.nl": [{"TXT": "v=DMARC1; p=reject; rua=mailto:d@example.nl"}],
    "_mta-sts.example.nl": [{"TXT": "v=STSv1; id=20260101T000000;"}],
    "mta-sts.example.nl": [{"A": "192.0.2.80"}],
    "_smtp._tls.example.nl": [{"TXT": "v=TLSRPTv1; rua=mailto:t@example.nl"}],
}
OPTIONAL = {"_mta-sts.example.nl": None, "mta-sts.example.nl": None, "_smtp._tls.example.nl": None}
SPF = "example.nl"
MX = {"MX": [10, "mail.example.nl"]}


class Site:
    """A server, its key, and a DNS that a test may change."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "gatepost.yaml"
        for name, key in (("rsa", rsa_key()), ("ed", ed25519_key())):
            file = directory / f"{name}.private"
            file.write_bytes(pem(key))
            file.chmod(0o600)
        self.configure("rsa")
        self.publish({})

    def configure(self, *keys: str) -> None:
        entries = [
            {"domain": "example.nl", "selector": "mail", "file": f"{self.directory}/{key}.private"}
            for key in keys
        ]
        daemons = {
            "dkim-sign": {"socket": "inet:8892@127.0.0.1", "keys": entries},
            "dkim-verify": {"socket": "inet:8891@127.0.0.1"},
        }
        dns = {"zone": f"{self.directory}/zone.yaml"}
        self.config.write_text(
            yaml.safe_dump({"authserv_id": "mail.example.nl", "dns": dns, "daemons": daemons})
        )

    def publish(self, changes: dict[str, list[Any] | None]) -> None:
        """The good zone, with *changes*; None takes a name out."""
        zone = {name: value for name, value in (GOOD | changes).items() if value is not None}
        (self.directory / "zone.yaml").write_text(yaml.safe_dump(zone))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def report(site: Site, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit status, and the items by kind; of several of one kind the last."""
    status = main(["dns", "example.nl", "--config", str(site.config), "--json", *arguments])
    found = json.loads(capsys.readouterr().out)
    assert found["in_order"] == (status == 0)
    return status, {item["kind"]: item for item in found["items"]}


def test_all_is_well(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dns", "Example.NL.", "--config", str(site.config)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    key = record(rsa_key()).decode()
    assert (
        captured.out
        == f"""\
Mail of example.nl, sent by mail.example.nl

SPF: ok  example.nl
  is:     v=spf1 mx include:_spf.example.net -all
  note:   terms that cost look-ups: 2 of at most 10
  note:   192.0.2.25 (mail.example.nl) passes by mx
  note:   2001:db8::25 (mail.example.nl) passes by mx

DKIM: ok  mail._domainkey.example.nl
  is:     v=DKIM1; k=rsa;
          {key.partition("rsa; ")[2]}

DMARC: ok  _dmarc.example.nl
  is:     v=DMARC1; p=reject; rua=mailto:d@example.nl
  note:   policy for its mail: reject

MTA-STS: ok  _mta-sts.example.nl
  is:     v=STSv1; id=20260101T000000;

MTA-STS policy: ok  mta-sts.example.nl
  is:     192.0.2.80
  note:   the policy, https://mta-sts.example.nl/.well-known/mta-sts.txt, cannot
          be fetched from here
  note:   it should say: version: STSv1; mode: testing; mx: mail.example.nl;
          max_age: 86400 (a line each; later mode: enforce)

TLS-RPT: ok  _smtp._tls.example.nl
  is:     v=TLSRPTv1; rua=mailto:t@example.nl

MX: ok  example.nl
  is:     10 mail.example.nl

server: ok  mail.example.nl
  is:     192.0.2.25
  is:     2001:db8::25
  note:   192.0.2.25 is no public address
  note:   2001:db8::25 is no public address

PTR: ok  25.2.0.192.in-addr.arpa
  is:     mail.example.nl

PTR: ok  5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa
  is:     mail.example.nl

all as it should be
"""
    )


def test_nothing_is_there(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.publish(dict.fromkeys(GOOD))
    (site.directory / "zone.yaml").write_text("unrelated.example: [{A: 192.0.2.1}]\n")
    status, items = report(site, capsys)
    assert status == 1
    assert {kind: item["status"] for kind, item in items.items()} == dict.fromkeys(
        ("SPF", "DKIM", "DMARC", "MTA-STS", "TLS-RPT", "MX", "server"), "missing"
    )
    assert items["SPF"]["record"] == 'example.nl. IN TXT "v=spf1 a:mail.example.nl -all"'
    assert items["MX"]["record"] == "example.nl. IN MX 10 mail.example.nl."
    assert items["DKIM"]["wanted"].encode() == record(rsa_key())
    assert items["DMARC"]["wanted"] == "v=DMARC1; p=none; rua=mailto:dmarc-reports@example.nl"
    assert items["TLS-RPT"]["wanted"] == "v=TLSRPTv1; rua=mailto:tls-reports@example.nl"
    assert main(["dns", "example.nl", "--config", str(site.config)]) == 1
    assert capsys.readouterr().out.endswith("\nto be done: SPF, DKIM, DMARC, MX, server\n")


def test_optional_records_may_be_missing(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.publish(dict(OPTIONAL))
    status, items = report(site, capsys)
    assert (status, items["MTA-STS"]["status"], items["TLS-RPT"]["status"]) == (0, "missing", "missing")
    assert items["MTA-STS"]["wanted"].startswith("v=STSv1; id=20")


TABLE: list[tuple[dict[str, list[Any] | None], str, str, str | None, str]] = [
    ({SPF: [{"TXT": "v=spf1 -all"}, MX]}, "SPF", "differs", "v=spf1 a:mail.example.nl -all", "does not pass: fail"),
    ({SPF: [{"TXT": "v=spf1 moo"}, MX]}, "SPF", "differs", None, "the record is broken"),
    ({SPF: [{"TXT": "v=spf1"}, {"TXT": "v=spf1 mx"}, MX]}, "SPF", "differs", None, "2 SPF records"),
    ({SPF: [{"TXT": "v=spf1 +all"}, MX]}, "SPF", "ok", None, "any host may send"),
    ({SPF: [{"TXT": "v=spf1 mx"}, MX]}, "SPF", "ok", None, "end it with -all"),
    ({SPF: [{"TXT": "v=spf1 mx ptr -all"}, MX]}, "SPF", "ok", None, "ptr is slow"),
    ({SPF: [{"TXT": f"v=spf1 {'a ' * 11}-all"}, MX]}, "SPF", "differs", None, "of at most 10"),
    ({SPF: ["SERVFAIL"]}, "SPF", "unknown", None, "did not tell"),
    ({SPF: [{"TXT": "v=spf1 mx -all"}, {"MX": [0, "."]}]}, "MX", "ok", None, "takes no mail"),
    ({SPF: [{"MX": [1, "gone.example.nl"]}]}, "MX", "differs", None, "gone.example.nl has no address"),
    ({SPF: [{"MX": [1, "mail.example.nl"]}]}, "SPF", "missing", "v=spf1 mx -all", ""),
    ({"mail._domainkey.example.nl": [{"TXT": "v=DKIM1; p="}]}, "DKIM", "differs", "v=DKIM1; k=rsa; p=MII", "revoked"),
    ({"_dmarc.example.nl": [{"TXT": "v=DMARC1; p=rejct"}]}, "DMARC", "differs", "v=DMARC1; p=none", "does not count"),
    ({"_dmarc.example.nl": [{"TXT": "v=DMARC1 p=none"}]}, "DMARC", "differs", "v=DMARC1; p=none", 'no ";" after'),
    ({"_dmarc.example.nl": ["TIMEOUT"]}, "DMARC", "unknown", None, ""),
    ({"_dmarc.example.nl": [{"TXT": "v=DMARC1; p=none"}]}, "DMARC", "ok", None, "nobody is told"),
    ({"_mta-sts.example.nl": [{"TXT": "v=STSv1"}]}, "MTA-STS", "differs", "v=STSv1; id=2", "id= has to be there"),
    ({"mta-sts.example.nl": None}, "MTA-STS policy", "differs", None, "has no address"),
    ({"_smtp._tls.example.nl": [{"TXT": "v=TLSRPTv1; rua=x"}]}, "TLS-RPT", "differs", "v=TLSRPTv1; ", "rua= has to"),
    ({"_smtp._tls.example.nl": ["SERVFAIL"]}, "TLS-RPT", "unknown", None, "did not tell"),
    ({"mail.example.nl": [{"A": "192.0.2.9"}]}, "PTR", "missing", "mail.example.nl.", "does not lead back"),
    (
        {"mail.example.nl": [{"A": "192.0.2.25"}], "25.2.0.192.in-addr.arpa": [{"PTR": "host.example"}]},
        "PTR", "differs", "mail.example.nl.", "does not lead back",
    ),
    ({"mail.example.nl": None}, "server", "missing", None, "public addresses"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "kind", "status", "wanted", "note"), TABLE)
def test_what_is_wrong_is_told(
    site: Site,
    changes: dict[str, list[Any] | None],
    kind: str,
    status: str,
    wanted: str | None,
    note: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    site.publish(changes)
    code, items = report(site, capsys)
    item = items[kind]
    assert item["status"] == status
    assert (item["wanted"] or "").startswith(wanted or "")
    assert bool(item["wanted"]) == bool(wanted)
    assert note in " ".join(item["notes"])
    if status != "ok":
        assert code == 1


def test_the_record_that_is_proposed_passes(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.publish({SPF: [{"TXT": "v=spf1 include:_spf.example.net ~all"}, MX]})
    _, items = report(site, capsys)
    site.publish({SPF: [{"TXT": items["SPF"]["wanted"]}, MX]})
    assert report(site, capsys)[0] == 0


def test_the_organization_s_policy(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    main(["dns", "news.example.nl", "--config", str(site.config), "--json"])
    items = {item["kind"]: item for item in json.loads(capsys.readouterr().out)["items"]}
    assert items["DMARC"]["status"] == "ok"
    assert items["DMARC"]["notes"][0] == "none of its own; that of example.nl applies"
    assert items["DKIM"]["notes"][0].startswith("no key signs for news.example.nl: gatepost keygen")


def test_ed25519_alone_is_not_enough(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.configure("ed")
    site.publish({"mail._domainkey.example.nl": [{"TXT": record(ed25519_key()).decode()}]})
    status, items = report(site, capsys)
    assert (status, items["DKIM"]["status"]) == (1, "differs")
    assert "Ed25519 alone" in items["DKIM"]["notes"][0]


def test_without_a_configuration(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["dns", "example.nl", "--zone", str(site.directory / "zone.yaml")]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "DKIM: unknown" in out
    assert "the server's name is not known" in out
    assert main([*arguments, "--server", "mail.example.nl"]) == 0
    assert "PTR: ok" in capsys.readouterr().out


def test_keys_that_cannot_be_read_are_left_out(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    (site.directory / "rsa.private").unlink()
    assert main(["dns", "example.nl", "--config", str(site.config)]) == 0
    captured = capsys.readouterr()
    assert "gatepost dns: the keys are left out: " in captured.err
    assert "DKIM: unknown" in captured.out


@pytest.mark.parametrize(
    "arguments",
    [["not a domain"], ["example.nl", "--server", "a..b"], ["example.nl", "--zone", "/nonexistent"]],
)
def test_wrong_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dns", *arguments]) == 2
    assert capsys.readouterr().out == ""


def test_hostile_records_reach_no_terminal(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "v=DMARC1; p=none; \x1b]0;\x07x\u202e=\x1b[31m"
    site.publish({"_dmarc.example.nl": [{"TXT": evil}], SPF: [{"TXT": "v=spf1 \x1b[2J -all"}, MX]})
    main(["dns", "example.nl", "--config", str(site.config)])
    out = capsys.readouterr().out
    assert all(line.isprintable() for line in out.split("\n"))


@pytest.mark.parametrize(
    ("texts", "status"),
    [
        ((), Status.MISSING),
        ((b"v=STSv1; id=1",), Status.OK),
        ((b"v=STSv1;id=abc;other=1;",), Status.OK),
        ((b"unrelated", b"v=STSv1; id=1;"), Status.OK),
        ((b"v=STSv1; id=;",), Status.DIFFERS),
        ((b"v=STSv1; id=1; id=2",), Status.DIFFERS),
        ((b"v=STSv1; id=" + b"1" * 33,), Status.DIFFERS),
        ((b"v=STSv1; id=a-b",), Status.DIFFERS),
        ((b"v=stsv1; id=1",), Status.DIFFERS),
        ((b"v=STSv1; id=1", b"v=STSv1; id=2"), Status.DIFFERS),
    ],
)
def test_sts_records(texts: tuple[bytes, ...], status: Status) -> None:
    answer = Answer(Outcome.FOUND if texts else Outcome.NXDOMAIN, texts)
    item = judge_sts("example.nl", answer, 0.0)
    assert item.status is status
    assert item.wanted == ("" if status is Status.OK else "v=STSv1; id=19700101000000;")


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"v=TLSRPTv1; rua=https://example.nl/tls", Status.OK),
        (b"v=TLSRPTv1;rua=mailto:a@example.nl,https://b.example/", Status.OK),
        (b"v=TLSRPTv1; rua=mailto:a@example.nl,ftp://b.example/", Status.DIFFERS),
        (b"v=TLSRPTv1;", Status.DIFFERS),
        (b"v=TLSRPTV1; rua=mailto:a@example.nl", Status.DIFFERS),
    ],
)
def test_rpt_records(text: bytes, status: Status) -> None:
    assert judge_rpt("example.nl", Answer(Outcome.FOUND, (text,))).status is status
