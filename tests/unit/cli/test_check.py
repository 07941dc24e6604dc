"""``gatepost check``: what it prints and gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gatepost.cli import check, main
from gatepost.cli.prepare import prepare
from gatepost.config.errors import ConfigError, Problem
from gatepost.config.load import parse
from gatepost.config.settings import Config
from tests.unit.config.hosts import HOST

GOOD = """\
authserv_id: mail.example.nl
daemons:
  dkim-verify: {socket: inet:8891, metrics: 127.0.0.1:9891, workers: 2}
  second: {kind: dkim-verify, socket: [unix:/run/a, unix:/run/b]}
"""


class Prepared:
    """A daemon that could start; ``problems`` is what looking further finds."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems

    def check(self) -> tuple[Problem, ...]:
        return self.problems


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The daemons that were prepared; nothing is wrong with any."""
    names: list[str] = []

    def succeed(_: Config, name: str, _secret: object) -> Prepared:
        names.append(name)
        return Prepared()

    monkeypatch.setattr(check, "prepare", succeed)
    return names


def run(tmp_path: Path, text: str, *options: str) -> int:
    file = tmp_path / "gatepost.yaml"
    file.write_text(text)
    return main(["check", "--config", str(file), *options])


def test_a_good_configuration(
    tmp_path: Path, prepared: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, GOOD) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out == (
        "daemon       kind         socket                    metrics         engine   workers\n"
        "dkim-verify  dkim-verify  inet:127.0.0.1:8891       127.0.0.1:9891  asyncio  2\n"
        "second       dkim-verify  unix:/run/a, unix:/run/b  -               asyncio  1\n"
    )
    assert prepared == ["dkim-verify", "second"]


def test_warnings_do_not_fail(
    tmp_path: Path, prepared: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, GOOD + "dns: {message_timeout: 1m}\n") == 0
    captured = capsys.readouterr()
    assert captured.err.startswith(
        f"warning: {tmp_path}/gatepost.yaml:5:7: dns.message_timeout: Postfix waits"
    )
    assert captured.out.startswith("daemon ")
    assert prepared


def test_problems(tmp_path: Path, prepared: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, GOOD + "log: {level: x}\nuser: [a]\n") == 78
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f'{tmp_path}/gatepost.yaml:5:7: log.level: expected debug, info, warning or error, not "x"\n'
        f"{tmp_path}/gatepost.yaml:6:1: user: expected a single value, not a list\n"
    )
    assert prepared == []


def test_problems_of_preparing_get_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(config: Config, name: str, _secret: object) -> None:
        raise ConfigError(
            [
                Problem("", 0, 0, f"daemons.{name}.socket", "in use"),
                Problem("/etc/KeyTable", 3, 1, "", "no key"),
            ]
        )

    monkeypatch.setattr(check, "prepare", fail)
    assert run(tmp_path, GOOD) == 78
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"{tmp_path}/gatepost.yaml:3:17: daemons.dkim-verify.socket: in use\n"
        "/etc/KeyTable:3:1: no key\n"
        f"{tmp_path}/gatepost.yaml:4:31: daemons.second.socket: in use\n"
    )


def test_what_a_start_does_not_look_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = Problem("/keys/a.key", 0, 0, "", "not a key")
    monkeypatch.setattr(check, "prepare", lambda *_: Prepared(shared))
    assert run(tmp_path, GOOD) == 78
    assert capsys.readouterr().err == "/keys/a.key: not a key\n"


def test_json(tmp_path: Path, prepared: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, GOOD, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["problems"] == report["warnings"] == []
    assert report["daemons"][1] == {
        "name": "second",
        "kind": "dkim-verify",
        "sockets": ["unix:/run/a", "unix:/run/b"],
        "metrics": None,
        "engine": "asyncio",
        "workers": 1,
    }
    assert run(tmp_path, GOOD + "log: {level: x}\n", "--json") == 78
    report = json.loads(capsys.readouterr().out)
    assert report["daemons"] == []
    assert report["problems"][0]["line"] == 5
    assert report["problems"][0]["key"] == "log.level"
    assert prepared == ["dkim-verify", "second"]


def test_a_daemon_that_is_not_configured() -> None:
    config = parse(GOOD, "f", HOST).config
    for name, hint in [
        ("dkim-verfy", '(did you mean "dkim-verify"?)'),
        ("zzz", "(there are dkim-verify and second)"),
    ]:
        with pytest.raises(ConfigError) as caught:
            prepare(config, name)
        assert str(caught.value) == f'no daemon is called "{name}" {hint}'
