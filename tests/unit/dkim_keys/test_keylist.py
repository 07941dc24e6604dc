from __future__ import annotations

from pathlib import Path

import pytest

from gatepost.dkim.signing_key import KeyUnavailableError
from tests.unit.dkim_keys.conftest import Keys, public, write_key
from tests.unit.dkim_keys.support import names, problems, sources, texts, write


@pytest.mark.parametrize(
    ("line", "sender", "expected"),
    [
        ("*@example.nl:example.nl:DIR/mail", "anna@example.nl", [("example.nl", "mail", "")]),
        ("*@example.nl:example.nl:DIR/mail", "anna@sub.example.nl", []),
        ("*@Example.NL : Example.NL : DIR/mail  # comment", "anna@example.nl", [("example.nl", "mail", "")]),
        ("*@*example.nl:example.nl:DIR/mail", "anna@sub.example.nl", [("example.nl", "mail", "")]),
        ("*:example.nl:DIR/mail", "anna@example.org", [("example.nl", "mail", "")]),
        ("anna@example.nl:example.nl:DIR/mail", "bert@example.nl", []),
        ("*@example.nl:example.nl:DIR/private-one", "a@example.nl", [("example.nl", "private-one", "")]),
        (
            "*@example.nl:example.nl:DIR/private-one.private",
            "a@example.nl",
            [("example.nl", "private-one", "")],
        ),
        ("*@example.nl:example.nl:DIR/pem-one", "a@example.nl", [("example.nl", "pem-one", "")]),
        ("*@example.nl:example.nl:DIR/example.nl", "a@example.nl", [("example.nl", "example.nl", "")]),
    ],
)
def test_lines(
    tmp_path: Path, keys: Keys, line: str, sender: str, expected: list[tuple[str, str, str]]
) -> None:
    for name in ("mail", "private-one.private", "pem-one.pem", "example.nl"):
        write_key(tmp_path / name, keys.rsa)
    key_list = write(tmp_path / "list", "\n# keys\n" + line.replace("DIR", str(tmp_path)) + "\n")
    found = sources(key_list=str(key_list))
    assert names(found, sender) == expected
    assert found.check_all() == []
    assert found.watched_files() == [key_list]


def test_the_name_as_it_is_comes_first_then_pem(tmp_path: Path, keys: Keys) -> None:
    key_list = write(tmp_path / "list", f"*:example.nl:{tmp_path}/mail\n")
    for name, key in (("mail.private", keys.rsa), ("mail.pem", keys.other_rsa), ("mail", keys.ed25519)):
        write_key(tmp_path / name, key)
        (found,) = sources(key_list=str(key_list)).find("anna", "example.nl")
        assert public(found.private) == public(key)


def test_all_that_fit_sign(tmp_path: Path, keys: Keys) -> None:
    for name in ("one", "two"):
        write_key(tmp_path / name, keys.ed25519)
    key_list = write(
        tmp_path / "list",
        f"*@a.example:a.example:{tmp_path}/one\n*:a.example:{tmp_path}/two\nanna@*:a.example:{tmp_path}/one\n",
    )
    found = sources(key_list=str(key_list), identity="@%")
    assert names(found, "anna@a.example") == [
        ("a.example", "one", "@a.example"),
        ("a.example", "two", "@a.example"),
    ]
    assert found.explain("bert", "a.example") == f"{key_list}:1, {key_list}:2"


def test_a_missing_key(tmp_path: Path) -> None:
    key_list = write(tmp_path / "list", f"# x\n*@a.example:a.example:{tmp_path}/none\n")
    found = sources(key_list=str(key_list))
    with pytest.raises(KeyUnavailableError, match="/none does not exist"):
        found.find("anna", "a.example")
    (problem,) = found.check_all()
    assert (problem.file, problem.line, problem.key) == (str(key_list), 2, "daemons.dkim-sign.key_list")
    assert found.explain("anna", "b.example") == f"none of the 1 lines in {key_list} is for this sender"


def test_problems(tmp_path: Path) -> None:
    key_list = write(
        tmp_path / "list",
        "*@a.example:a.example\n*@a.example::/x\na.example:a.example:/x\n*@a.example:a b:/x\n"
        "*@a.example:a.example:keys/x\n*@a.example:a.example:/x/-\n*@a.example:a.example:/x/\n",
    )
    expected = "expected pattern:domain:keyfile, such as *@example.nl:example.nl:/etc/mail/dkim/mail"
    not_a_selector = "is not a selector: letters, digits and hyphens, such as mail or 2026a"
    assert texts(problems(key_list=str(key_list))) == [
        f"1: key_list: {expected}",
        f"2: key_list: {expected}",
        '3: key_list: "a.example" fits no sender: write *@a.example for all of a domain',
        '4: key_list: "a b" is not a domain',
        '5: key_list: "keys/x" is not a whole path: it has to start with /',
        f'6: key_list: "-" {not_a_selector}',
        f'7: key_list: "" {not_a_selector}',
    ]
