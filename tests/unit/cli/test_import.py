"""``gatepost import`` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from gatepost.cli import main

VERIFIER = "Mode v\nSocket inet:8891@127.0.0.1\nAuthservID mail.example.nl\nSyslog yes\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "opendkim.conf"
    path.write_text(VERIFIER)
    return path


def test_the_configuration_and_the_report(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "opendkim", str(file)]) == 0
    out, err = capsys.readouterr()
    assert yaml.safe_load(out) == {
        "authserv_id": "mail.example.nl",
        "daemons": {"dkim-verify": {"socket": "inet:8891@127.0.0.1"}},
    }
    assert f"# {file}:3 AuthservID" in out
    assert f"{file}:4: Syslog:" in " ".join(err.split())
    assert "Carried over: 3 lines." in err


def test_as_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "opendkim", str(file), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert yaml.safe_load(report["yaml"]) == report["config"]
    carried = {(each["line"], each["option"]) for each in report["remarks"] if each["sort"] == "carried over"}
    assert carried == {(1, "Mode"), (2, "Socket"), (3, "AuthservID")}


def test_to_a_new_file_and_to_no_old_one(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = file.with_name("gatepost.yaml")
    assert main(["import", "opendkim", str(file), "--output", str(target)]) == 0
    assert capsys.readouterr().out == ""
    assert "dkim-verify:" in target.read_text()
    target.write_text("mine")
    assert main(["import", "opendkim", str(file), "--output", str(target)]) == 2
    assert target.read_text() == "mine"
    assert "is there already" in capsys.readouterr().err


def test_a_line_that_is_not_understood(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(f"{VERIFIER}Sokcet x\n")
    assert main(["import", "opendkim", str(file)]) == 1
    assert 'Sokcet: no such option is known (did you mean "Socket"?)' in " ".join(
        capsys.readouterr().err.split()
    )


@pytest.mark.parametrize("data", [b"\0", None])
def test_a_file_that_cannot_be_read(
    file: Path, data: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    file.unlink() if data is None else file.write_bytes(data)
    assert main(["import", "opendkim", str(file)]) == 2
    assert str(file) in capsys.readouterr().err


def test_latin_1_in_a_comment_is_no_obstacle(file: Path) -> None:
    file.write_bytes(b"# f\xfcr uns\n" + VERIFIER.encode())
    assert main(["import", "opendkim", str(file)]) == 0


def test_a_peer_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["import", "opendkimm", "/etc/opendkim.conf"])
    assert 'did you mean "opendkim"?' in capsys.readouterr().err
