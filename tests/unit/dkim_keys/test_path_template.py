from __future__ import annotations

from pathlib import Path

import pytest

from gatepost.dkim.signing_key import KeyUnavailableError
from tests.harness.clock import Seconds
from tests.unit.dkim_keys.conftest import Keys, public, write_key
from tests.unit.dkim_keys.support import names, problems, sources, texts, write


@pytest.fixture
def template(tmp_path: Path) -> str:
    return str(tmp_path / "keys" / "{domain}.{selector}.key")


def test_a_domain_with_a_file_has_a_key(tmp_path: Path, template: str, keys: Keys) -> None:
    write_key(tmp_path / "keys" / "example.nl.dkim.key", keys.rsa)
    found = sources(key_path=template, identity="@%")
    assert names(found, "anna@example.nl") == [("example.nl", "dkim", "@example.nl")]
    assert names(found, "anna@sub.example.nl") == []
    assert names(found, "anna@example.org") == []


def test_selectors(tmp_path: Path, template: str, keys: Keys) -> None:
    selector_map = write(
        tmp_path / "map",
        "# domain selector\nExample.NL 20200119\n\nmünchen.example\ts2 # more\nexample.nl 20200119\n",
    )
    for name in ("example.nl.20200119", "xn--mnchen-3ya.example.s2", "example.org.x"):
        write_key(tmp_path / "keys" / f"{name}.key", keys.rsa)
    found = sources(key_path=template, selector="x", selector_map=str(selector_map))
    assert names(found, "anna@example.nl") == [("example.nl", "20200119", "")]
    assert names(found, "anna@xn--mnchen-3ya.example") == [("xn--mnchen-3ya.example", "s2", "")]
    assert names(found, "anna@example.org") == [("example.org", "x", "")]
    assert found.watched_files() == [selector_map]


@pytest.mark.parametrize(
    "domain",
    [
        "../keys/example.nl",
        "..",
        ".",
        "",
        "/example.nl",
        "a/b",
        "a\0",
        "example.nl\n",
        ".nl",
        "EXAMPLE.nl",
        "a" * 254,
    ],
)
def test_a_hostile_domain_never_reaches_the_file_system(
    template: str, domain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = sources(key_path=template)
    monkeypatch.setattr("gatepost.dkim.keys.keycache.KeyCache.get", lambda self, path: pytest.fail(path))
    assert found.find("anna", domain) == []
    assert found.explain("anna", domain) == "the sender has no valid domain"


def test_a_key_comes_changes_and_goes(tmp_path: Path, template: str, keys: Keys, clock: Seconds) -> None:
    found = sources(clock, key_path=template)
    path = tmp_path / "keys" / "example.nl.dkim.key"
    assert names(found, "anna@example.nl") == []
    for key in (keys.rsa, keys.ed25519):
        write_key(path, key)
        clock.now += 10
        assert public(found.find("anna", "example.nl")[0].private) == public(key)
    path.write_text("nonsense")
    clock.now += 10
    assert public(found.find("anna", "example.nl")[0].private) == public(keys.ed25519)
    assert [error.path for error in found.refused_changes()] == [path]
    path.unlink()
    clock.now += 10
    assert names(found, "anna@example.nl") == []


def test_a_bad_key_is_not_the_same_as_none(tmp_path: Path, template: str, keys: Keys) -> None:
    path = write_key(tmp_path / "keys" / "example.nl.dkim.key", keys.rsa)
    path.chmod(0o644)
    found = sources(key_path=template)
    with pytest.raises(KeyUnavailableError, match=f"chmod 640 {path}"):
        found.find("anna", "example.nl")
    assert found.explain("anna", "example.nl") == f"key_path: {path}"


def test_explain(template: str) -> None:
    missing = template.format(domain="example.nl", selector="dkim")
    assert sources(key_path=template).explain("anna", "example.nl") == f"key_path: {missing} does not exist"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("/keys/$domain.$selector.key", '"$domain" means nothing here: write {domain}'),
        ("/keys/{domian}.key", '"{domian}" means nothing here: write {domain} or {selector}'),
        ("keys/{domain}.key", "is not a whole path"),
        ("/keys/{selector}.key", "{domain} is missing"),
    ],
)
def test_bad_templates(template: str, expected: str) -> None:
    (text,) = texts(problems(key_path=template))
    assert text.startswith("0: key_path: ")
    assert expected in text


def test_bad_selectors(tmp_path: Path, template: str) -> None:
    selector_map = write(tmp_path / "map", "example.nl a\nexample.org\nexample.nl b\nex ample.net c\n..  d\n")
    assert texts(problems(key_path=template, selector_map=str(selector_map))) == [
        '2: selector_map: "" is not a selector: letters, digits and hyphens, such as mail or 2026a',
        "3: selector_map: example.nl has another selector on line 1: remove one of the lines",
        '4: selector_map: "ample.net c" is not a selector: letters, digits and hyphens, such as mail or 2026a',
        '5: selector_map: ".." is not a domain',
    ]
    (text,) = texts(problems(key_path=template, selector="a b"))
    assert text.startswith("0: selector: ")
    (text,) = texts(problems(selector_map=str(selector_map)))
    assert text == "0: selector_map: goes with key_path, which is missing"
    (problem,) = problems(key_path=template, selector_map=str(tmp_path / "none"))
    assert problem.file == str(tmp_path / "none")
    assert problem.text == "cannot be read: No such file or directory"


def test_check_all(tmp_path: Path, template: str, keys: Keys) -> None:
    directory = tmp_path / "keys"
    write_key(directory / "example.nl.dkim.key", keys.rsa)
    write_key(directory / "example.org.dkim.key", keys.short_rsa)
    write_key(directory / "example.net.other.key", keys.short_rsa)
    selector_map = write(tmp_path / "map", "example.com s\n")
    found = sources(key_path=template, selector_map=str(selector_map)).check_all()
    assert [(problem.file, problem.line, problem.key) for problem in found] == [
        (str(selector_map), 1, "daemons.dkim-sign.key_path"),
        ("", 0, "daemons.dkim-sign.key_path"),
    ]
    assert "example.com.s.key does not exist" in found[0].text
    assert "example.org.dkim.key is an RSA key of 1024 bits" in found[1].text
