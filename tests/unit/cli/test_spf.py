"""``gatepost spf``: what it tells, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gatepost.cli import main

ZONE = """
example.org:
  - {TXT: "v=spf1 include:_spf.example.net a:old.example.org -all exp=why.example.org"}
  - {TXT: other}
_spf.example.net: [{TXT: "v=spf1 ip4:198.51.100.0/24 ~all"}]
why.example.org: [{TXT: "%{i} is not one of ours"}]
pass.example: [{TXT: "v=spf1 mx ?all"}, {MX: [10, pass.example]}, {A: 192.0.2.1}]
soft.example: [{TXT: "v=spf1 ~all"}]
perm.example: [{TXT: "v=spf1 moo"}]
temp.example: [SERVFAIL]
evil.example: [{TXT: "v=spf1 -all exp=evil.example"}, {A: 192.0.2.1}]
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "zone.yaml").write_text(ZONE)
    file = tmp_path / "gatepost.yaml"
    file.write_text(
        f"authserv_id: mx.example.nl\ndns: {{zone: {tmp_path}/zone.yaml}}\n"
        "daemons: {dkim-verify: {socket: inet:8891@127.0.0.1}}\n"
    )
    return str(file)


def test_every_step_is_told(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spf", "192.0.2.1", "bob@example.org", "pass.example", "--config", config]) == 1
    assert (
        capsys.readouterr().out
        == """\
HELO pass.example from 192.0.2.1
    asked TXT pass.example: v=spf1 mx ?all
  pass.example: v=spf1 mx ?all
    mx (look-up 1 of 10): matches
      asked MX pass.example: 10 pass.example
      asked A pass.example: 192.0.2.1
  pass.example gives pass
  result: pass, pass.example lets 192.0.2.1 send its mail
  decided by: mx
  terms that cost look-ups: 1 of at most 10
  look-ups that found nothing: 0 of at most 2

MAIL FROM bob@example.org from 192.0.2.1
    asked TXT example.org: 2 records
  example.org: v=spf1 include:_spf.example.net a:old.example.org -all exp=why.example.org
    include:_spf.example.net (look-up 1 of 10): does not match
        asked TXT _spf.example.net: v=spf1 ip4:198.51.100.0/24 ~all
      _spf.example.net: v=spf1 ip4:198.51.100.0/24 ~all
        ip4:198.51.100.0/24: does not match
        ~all: matches
      _spf.example.net gives softfail
    a:old.example.org (look-up 2 of 10): does not match
      asked A old.example.org: no such name (not in the zone file) (counts as found nothing)
    -all: matches
  example.org gives fail
    asked TXT why.example.org: %{i} is not one of ours
  result: fail, example.org does not let 192.0.2.1 send its mail
  decided by: -all
  the domain explains: 192.0.2.1 is not one of ours
  terms that cost look-ups: 2 of at most 10
  look-ups that found nothing: 1 of at most 2
"""
    )


@pytest.mark.parametrize(
    ("mail_from", "helo", "status"),
    [
        ("bob@pass.example", "x", 0),
        ("<bob@pass.example>", "x", 0),
        ("bob@soft.example", "x", 0),
        ("bob@none.example", "x", 0),
        ("bob@example.org", "x", 1),
        ("bob@perm.example", "x", 1),
        ("bob@temp.example", "x", 1),
        ("bob@pass.example", "example.org", 0),
        ("<>", "example.org", 1),
        ("", "pass.example", 0),
        ("bob", "[192.0.2.1]", 0),
    ],
)
def test_status(
    config: str, mail_from: str, helo: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["spf", "192.0.2.1", mail_from, helo, "--config", config]) == status
    assert main(["spf", "192.0.2.1", mail_from, helo, "--config", config, "--json"]) == status


def test_json(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["spf", "192.0.2.1", "<>", "example.org", "--config", config, "--json"])
    report = json.loads(capsys.readouterr().out)
    (check,) = report["checks"]
    steps = check.pop("steps")
    assert report["client"] == "192.0.2.1"
    assert check == {
        "identity": "helo",
        "domain": "example.org",
        "result": "fail",
        "mechanism": "-all",
        "record": "v=spf1 include:_spf.example.net a:old.example.org -all exp=why.example.org",
        "explanation": "192.0.2.1 is not one of ours",
        "problem": "",
        "lookups": 2,
        "void_lookups": 1,
    }
    assert {"depth": 0, "term": "a:old.example.org", "lookup": 2, "matched": False} in steps
    assert steps[-1]["asked"] == "why.example.org"


def test_an_address_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spf", "192.0.2.x\x1b[31m", "bob@example.org", "x"]) == 2
    assert capsys.readouterr().err == "gatepost spf: 192.0.2.x [31m is no IP address\n"


def test_a_zone_that_is_none(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "zone.yaml").write_text("[")
    assert main(["spf", "192.0.2.1", "bob@example.org", "x", "--config", config]) == 78
    assert "zone.yaml" in capsys.readouterr().err
