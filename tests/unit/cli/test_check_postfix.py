"""``gatepost check --postfix``: what it runs, prints and gives."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from gatepost.cli import check, main
from gatepost.config.settings import Config
from tests.unit.postfix.support import CLEANUP, DEFAULTS, shipped

CONFIG = """\
authserv_id: mail.example.nl
daemons:
  dkim-verify: {socket: inet:8891, seal: no}
"""

POSTCONF = """\
import sys
from pathlib import Path
directory = Path(sys.argv[1])
if sys.argv[2:] == ["-x"]:
    sys.exit("postconf: fatal: no")
print((directory / sys.argv[-1].lstrip("-")).read_text())
"""


class Ready:
    def check(self) -> tuple[()]:
        return ()


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A postconf that tells of a simple server."""

    def ready(_: Config, name: str, _secret: object) -> Ready:
        return Ready()

    monkeypatch.setattr(check, "prepare", ready)
    main_text, master_text = shipped("simple")
    policies = re.compile(r"    check_policy_service .*\n")
    (tmp_path / "n").write_text(
        policies.sub("", main_text)
        .replace(", inet:127.0.0.1:8892, inet:127.0.0.1:8893", "")
        .replace("non_smtpd_milters = inet:127.0.0.1:8892", "")
    )
    (tmp_path / "M").write_text(master_text + CLEANUP)
    (tmp_path / "d").write_text(DEFAULTS)
    (tmp_path / "postconf.py").write_text(POSTCONF)
    (tmp_path / "gatepost.yaml").write_text(CONFIG)
    return f"{sys.executable} {tmp_path / 'postconf.py'} {tmp_path}"


def run(tmp_path: Path, *options: str) -> int:
    return main(["check", "--config", str(tmp_path / "gatepost.yaml"), *options])


def test_all_in_place(tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "--postfix", "--postconf", command) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "postfix: all is in place"
    assert run(tmp_path, "--postconf", command, "--json") == 0
    assert json.loads(capsys.readouterr().out)["postfix"] == []


def test_an_error(tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "n").write_text((tmp_path / "n").read_text().replace(":8891", ":8899"))
    assert run(tmp_path, "--postconf", command) == 1
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("error"))
    assert line == (
        "error: smtp/inet: dkim-verify is missing: mail from the world passes it by"
        " (of inet:127.0.0.1:8899 nothing is in our configuration);"
        " mend: postconf -P 'smtp/inet/smtpd_milters = inet:127.0.0.1:8899, inet:127.0.0.1:8891'"
    )
    assert run(tmp_path, "--postconf", command, "--json") == 1
    [finding] = json.loads(capsys.readouterr().out)["postfix"]
    assert (finding["level"], finding["place"]) == ("error", "smtp/inet")


def test_a_warning_is_no_error(tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "n").write_text((tmp_path / "n").read_text().replace("= tempfail", "= accept"))
    assert run(tmp_path, "--postconf", command) == 0
    assert "warning: milter_default_action: accept: while a daemon is down" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("postconf", "words"),
    [
        ("/nowhere/postconf", "there is no /nowhere/postconf here"),
        (f"{sys.executable} -c 'raise SystemExit(\"postconf: fatal: no\")'", "-n: postconf: fatal: no"),
        ("'unclosed", "No closing quotation"),
        ("", "is no command"),
    ],
)
def test_a_postconf_that_does_not_run(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str], postconf: str, words: str
) -> None:
    assert command
    assert run(tmp_path, "--postconf", postconf) == 1
    assert words in capsys.readouterr().out


def test_a_faulty_configuration_of_ours_comes_first(tmp_path: Path, command: str) -> None:
    (tmp_path / "gatepost.yaml").write_text("daemons: {}\n")
    assert run(tmp_path, "--postconf", command) == 78


def test_nothing_is_asked_without_the_option(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command
    assert run(tmp_path, "--json") == 0
    assert "postfix" not in json.loads(capsys.readouterr().out)
