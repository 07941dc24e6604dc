"""``gatepost dmarc``: what it tells, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gatepost.cli import main
from tests.harness.dns_server import DnsServer

ZONE = """
example.nl: [{A: 192.0.2.1}]
_dmarc.example.nl:
  - {TXT: "v=DMARC1; p=reject; sp=quarantine; np=reject; adkim=s; rua=mailto:d@example.nl,mailto:d@reports.example"}
example.nl._report._dmarc.reports.example: [{TXT: "v=DMARC1"}]
shop.example.nl: [{A: 192.0.2.1}]
news.example.nl: [{A: 192.0.2.1}]
_dmarc.news.example.nl: [{TXT: "v=DMARC1; p=none; sp=reject; rua=mailto:d@elsewhere.example"}]
org.example: [{A: 192.0.2.1}]
_dmarc.org.example: [{TXT: "v=DMARC1; p=quarantine; t=y; psd=n"}]
two.example: [{A: 192.0.2.1}]
_dmarc.two.example: [{TXT: "v=DMARC1; p=none"}, {TXT: "v=DMARC1; p=reject"}]
down.example: [{A: 192.0.2.1}]
_dmarc.down.example: [SERVFAIL]
_dmarc.psd.test: [{TXT: "v=DMARC1; p=reject; psd=y; sp=none; np=reject"}]
b.psd.test: [{A: 192.0.2.1}]
psd.test: [{A: 192.0.2.1}]
bad.example: [{A: 192.0.2.1}]
_dmarc.bad.example: [{TXT: "v=DMARC1; p=rejct"}, {TXT: "v=spf1 -all"}]
case.example: [{A: 192.0.2.1}]
_dmarc.case.example: [{TXT: "v=dmarc1; p=none"}]
long.example: [{A: 192.0.2.1}]
_dmarc.long.example: [{TXT: ["v=DMARC1; p=none; rua=", LONG]}]
xn--bcher-kva.example: [{A: 192.0.2.1}]
_dmarc.xn--bcher-kva.example: [{TXT: "v=DMARC1; p=reject; ruf=mailto:d@xn--bcher-kva.example; fo=1"}]
evil.example: [{A: 192.0.2.1}]
_dmarc.evil.example: [{TXT: "v=DMARC1; p=none; rua=mailto:\\e[31m\\n\\u202ex@y.example; \\a=1"}]
pct.example: [{A: 192.0.2.1}]
_dmarc.pct.example: [{TXT: "v=DMARC1; p=reject; pct=0; rua=mailto:d@pct.example"}]
""".replace("LONG", "mailto:" + "x" * 9000 + "@long.example")


@pytest.fixture
def zone(tmp_path: Path) -> str:
    file = tmp_path / "zone.yaml"
    file.write_text(ZONE)
    return str(file)


def report(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    status = main(["dmarc", *arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_every_name_is_told(zone: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dmarc", "news.example.nl", "--zone", zone]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert (
        captured.out
        == """\
DMARC of news.example.nl (tree walk, RFC 9989)

1  _dmarc.news.example.nl
     v=DMARC1; p=none; sp=reject; rua=mailto:d@elsewhere.example
       p      none: no wish about mail that fails
       sp     reject: refuse mail from subdomains that fails
       rua    aggregate reports to mailto:d@elsewhere.example
2  _dmarc.example.nl
     v=DMARC1; p=reject; sp=quarantine; np=reject; adkim=s;
       rua=mailto:d@example.nl,mailto:d@reports.example
       p      reject: refuse mail that fails
       sp     quarantine: be suspicious of mail from subdomains that fails
       np     reject: refuse mail from missing subdomains that fails
       adkim  DKIM has to align strictly
       rua    aggregate reports to mailto:d@example.nl, mailto:d@reports.example
3  _dmarc.nl
     no such name (not in the zone file)
   the walk ends here: no name is left

organizational domain       example.nl
record that applies         that of news.example.nl
mail from news.example.nl   none (p= of news.example.nl)
from a subdomain            quarantine (sp= of example.nl)
from one that is not there  reject (np= of example.nl)
Mail passes with a signature of, or SPF for, example.nl or any domain below it
that has no organization of its own (relaxed).
warning: _dmarc.news.example.nl: sp= without effect: news.example.nl is not the
  organizational domain, which is example.nl
warning: reports go to elsewhere.example, which does not say that it takes them:
  no DMARC record at news.example.nl._report._dmarc.elsewhere.example
"""
    )


def test_a_domain_without_a_record(zone: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dmarc", "two.example", "--zone", zone]) == 1
    assert (
        capsys.readouterr().out
        == """\
DMARC of two.example (tree walk, RFC 9989)

1  _dmarc.two.example
     several DMARC records, which count as none:
     v=DMARC1; p=none
     v=DMARC1; p=reject
2  _dmarc.example
     no such name (not in the zone file)
   the walk ends here: no name is left

organizational domain       two.example
mail from two.example       DMARC does not apply: several records
from a subdomain            DMARC does not apply: several records
from one that is not there  DMARC does not apply: several records
warning: _dmarc.two.example has several DMARC records, which count as none
"""
    )


@pytest.mark.parametrize(
    ("domain", "status", "policies", "organization", "stop"),
    [
        ("example.nl", 0, ["p reject", "sp quarantine", "np reject"], "example.nl", "top"),
        ("shop.example.nl", 0, ["sp quarantine", "sp quarantine", "np reject"], "example.nl", "top"),
        ("gone.example.nl", 0, ["np reject", "sp quarantine", "np reject"], "example.nl", "top"),
        ("news.example.nl", 0, ["p none", "sp quarantine", "np reject"], "example.nl", "top"),
        ("org.example", 0, ["p none", "p none", "p none"], "org.example", "psd=n"),
        ("a.b.psd.test", 0, ["np reject", "sp none", "np reject"], "b.psd.test", "psd=y"),
        ("b.psd.test", 0, ["sp none", "sp none", "np reject"], "b.psd.test", "psd=y"),
        ("psd.test", 0, ["p reject", "sp none", "np reject"], "psd.test", "psd=y"),
        ("two.example", 1, [None] * 3, "two.example", "top"),
        ("down.example", 1, [None] * 3, "down.example", "top"),
        ("bad.example", 1, [None] * 3, "bad.example", "top"),
        ("case.example", 1, [None] * 3, "case.example", "top"),
        ("long.example", 1, [None] * 3, "long.example", "top"),
        ("unknown.example", 1, [None] * 3, "unknown.example", "top"),
        ("bücher.example", 0, ["p reject"] * 3, "xn--bcher-kva.example", "top"),
        ("EXAMPLE.NL.", 0, ["p reject", "sp quarantine", "np reject"], "example.nl", "top"),
    ],
)
def test_what_applies(
    domain: str,
    status: int,
    policies: list[str | None],
    organization: str,
    stop: str,
    zone: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given, found = report(capsys, domain, "--zone", zone)
    assert given == status
    told = [found[key] for key in ("policy", "subdomain_policy", "nonexistent_policy")]
    assert [f"{each['tag']} {each['applied']}" if each["applies"] else None for each in told] == policies
    assert (found["organizational_domain"], found["stop"]) == (organization, stop)


@pytest.mark.parametrize(
    ("domain", "warning"),
    [
        ("news.example.nl", "sp= without effect"),
        ("gone.example.nl", "gone.example.nl does not exist in the DNS"),
        ("psd.test", "psd=y is for registries; is psd.test one?"),
        ("two.example", "_dmarc.two.example has several DMARC records"),
        ("bad.example", "p=rejct: expected none, quarantine or reject"),
        ("case.example", "it has to begin with v=DMARC1"),
        ("long.example", "longer than 8 kB"),
        ("pct.example", "pct= is obsolete"),
    ],
)
def test_warnings(domain: str, warning: str, zone: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, found = report(capsys, domain, "--zone", zone)
    assert any(warning in each for each in found["warnings"]), found["warnings"]


@pytest.mark.parametrize("domain", ["shop.example.nl", "xn--bcher-kva.example"])
def test_nothing_to_warn_of(domain: str, zone: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(capsys, domain, "--zone", zone)[1]["warnings"] == []


def test_the_public_suffix_list(zone: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = report(capsys, "a.shop.example.nl", "--psl", "--zone", zone)
    assert (status, found["method"], found["stop"]) == (0, "psl", "list")
    assert [step["name"] for step in found["steps"]] == ["_dmarc.a.shop.example.nl", "_dmarc.example.nl"]
    # np is not known to RFC 7489, and pct is.
    assert (found["nonexistent_policy"]["tag"], found["nonexistent_policy"]["policy"]) == ("sp", "quarantine")
    assert report(capsys, "pct.example", "--psl", "--zone", zone)[1]["policy"]["applied"] == "quarantine"
    assert main(["dmarc", "news.example.nl", "--psl", "--zone", zone]) == 0
    out = capsys.readouterr().out
    assert "no other name counts: by the list the organizational domain is example.nl" in out


def test_long_names_are_shortened(zone: str, capsys: pytest.CaptureFixture[str]) -> None:
    domain = "a.b.c.d.e.f.g.h.i.example.nl"
    _, found = report(capsys, domain, "--zone", zone)
    assert [step["name"] for step in found["steps"]][:2] == [
        f"_dmarc.{domain}",
        "_dmarc.e.f.g.h.i.example.nl",
    ]
    assert (len(found["steps"]), found["skipped"]) == (8, 3)
    assert main(["dmarc", domain, "--zone", zone]) == 0
    assert "\n   3 names are left out: a walk asks 8 at most\n2  _dmarc.e." in capsys.readouterr().out


@pytest.mark.parametrize("options", [[], ["--json"], ["--psl"]])
def test_a_strangers_record_is_shown_safely(
    options: list[str], zone: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dmarc", "evil.example", "--zone", zone, *options]) in (0, 1)
    out = capsys.readouterr().out
    assert out.replace("\n", "").isprintable()
    assert out.isascii()


def test_lines_fit_the_screen(zone: str, capsys: pytest.CaptureFixture[str]) -> None:
    for domain in ("example.nl", "bad.example", "down.example", "a.b.c.d.e.f.g.h.i.j.k.example.nl"):
        main(["dmarc", domain, "--zone", zone])
        assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["a b"], 'gatepost dmarc: "a b": not a domain name\n'),
        ([""], 'gatepost dmarc: "": not a domain name\n'),
        (["a..b"], 'gatepost dmarc: "a..b": not a domain name\n'),
        (["x" * 300], f'gatepost dmarc: "{"x" * 57}...": longer than 253 octets\n'),
        (
            ["example.nl", "--zone", "/nowhere/zone"],
            "gatepost dmarc: /nowhere/zone: No such file or directory\n",
        ),
    ],
)
def test_wrong_usage(arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dmarc", *arguments]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", error)


def configuration(tmp_path: Path, dns: str) -> str:
    file = tmp_path / "gatepost.yaml"
    file.write_text(
        f"authserv_id: mx.example.nl\ndns: {dns}\ndaemons: {{dkim-verify: {{socket: inet:8891}}}}\n"
    )
    return str(file)


def test_the_configured_zone_and_a_broken_one(
    zone: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dmarc", "example.nl", "--config", configuration(tmp_path, f"{{zone: {zone}}}")]) == 0
    assert main(["dmarc", "example.nl", "--config", configuration(tmp_path, "{zone: /nowhere/zone}")]) == 78
    assert main(["dmarc", "example.nl", "--config", f"{tmp_path}/none"]) == 78
    assert capsys.readouterr().err.endswith("/none: there is no such file\n")


def test_a_real_server_and_a_dead_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with DnsServer(
        {"_dmarc.example.nl": [{"TXT": "v=DMARC1; p=reject"}], "example.nl": [{"A": "192.0.2.1"}]}
    ) as dns:
        config = configuration(tmp_path, f'{{nameservers: ["{dns.host}:{dns.port}"], timeout: 300ms}}')
        assert report(capsys, "example.nl", "--config", config)[1]["policy"]["policy"] == "reject"
    assert main(["dmarc", "example.nl", "--config", config]) == 1
    out = capsys.readouterr().out
    assert "1  _dmarc.example.nl\n     no answer in time (" in out
    assert "mail from example.nl        not known: DNS failure for _dmarc.example.nl\n" in out
    assert out.endswith("The DNS did not tell: mail gets dmarc=temperror.\n")


def test_help_tells_the_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["dmarc", "--help"])
    assert "exit status: 0 a policy applies" in capsys.readouterr().out
