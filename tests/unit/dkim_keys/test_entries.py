from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gatepost.dkim.signing_key import KeyUnavailableError
from tests.harness.clock import Seconds
from tests.unit.dkim_keys.conftest import Keys, public, write_key
from tests.unit.dkim_keys.support import names, problems, sources, texts

SENDERS = [
    "anna@example.nl",
    "bert@example.nl",
    "anna@sub.example.nl",
    "anna@a.sub.example.nl",
    "anna@example.org",
]


def _entry(file: Path, domain: str, selector: str = "mail", **more: Any) -> dict[str, Any]:
    return {"domain": domain, "selector": selector, "file": str(file), **more}


@pytest.mark.parametrize(
    ("entry", "signed_as"),
    [
        ({"domain": "example.nl"}, ["example.nl", "example.nl", None, None, None]),
        ({"domain": "Example.NL."}, ["example.nl", "example.nl", None, None, None]),
        ({"domain": "*@example.nl"}, ["example.nl", "example.nl", None, None, None]),
        ({"domain": "Anna@example.nl"}, ["example.nl", None, None, None, None]),
        ({"domain": "example.nl", "subdomains": True}, ["example.nl"] * 4 + [None]),
        (
            {"domain": "anna@example.nl", "subdomains": True},
            ["example.nl", None, "example.nl", "example.nl", None],
        ),
        ({"domain": "*"}, ["example.nl", "example.nl", "sub.example.nl", "a.sub.example.nl", "example.org"]),
        ({"domain": "*", "signing_domain": "esp.example"}, ["esp.example"] * 5),
        (
            {"domain": "example.nl", "signing_domain": "esp.example"},
            ["esp.example", "esp.example", None, None, None],
        ),
    ],
)
def test_whom_an_entry_is_for(key_file: Path, entry: dict[str, Any], signed_as: list[str | None]) -> None:
    keys = sources(keys=[_entry(key_file, **entry)])
    expected = [[(domain, "mail", "")] if domain else [] for domain in signed_as]
    assert [names(keys, sender) for sender in SENDERS] == expected


def test_an_internationalized_domain(key_file: Path) -> None:
    keys = sources(keys=[_entry(key_file, "münchen.example")])
    assert names(keys, "anna@xn--mnchen-3ya.example") == [("xn--mnchen-3ya.example", "mail", "")]


def test_all_that_fit_sign_the_narrowest_first(tmp_path: Path, key_file: Path, keys: Keys) -> None:
    ed = write_key(tmp_path / "ed.private", keys.ed25519)
    found = sources(
        keys=[
            _entry(key_file, "*", "any"),
            _entry(key_file, "example.nl", "rsa"),
            _entry(ed, "example.nl", "ed"),
            _entry(ed, "anna@example.nl", "own"),
        ]
    ).find("anna", "example.nl")
    assert [key.selector for key in found] == ["own", "rsa", "ed", "any"]
    assert [key.algorithm for key in found] == [
        "ed25519-sha256",
        "rsa-sha256",
        "ed25519-sha256",
        "rsa-sha256",
    ]


def test_the_narrower_entry_has_the_name(tmp_path: Path, key_file: Path, keys: Keys) -> None:
    own = write_key(tmp_path / "own.private", keys.other_rsa)
    (key,) = sources(keys=[_entry(key_file, "*"), _entry(own, "example.nl")]).find("anna", "example.nl")
    assert public(key.private) == public(keys.other_rsa)


@pytest.mark.parametrize(
    ("entry", "default", "expected"),
    [
        ({"domain": "example.nl", "identity": "@example.nl"}, None, "@example.nl"),
        ({"domain": "example.nl", "identity": "post@sub.example.nl"}, None, "post@sub.example.nl"),
        ({"domain": "example.nl"}, "post@example.nl", "post@example.nl"),
        ({"domain": "example.nl"}, "@%", "@example.nl"),
        ({"domain": "example.nl"}, "@example.org", ""),
        ({"domain": "example.nl", "identity": "@example.nl"}, "@sub.example.nl", "@example.nl"),
        ({"domain": "*", "identity": "@example.org"}, None, ""),
    ],
)
def test_identity(key_file: Path, entry: dict[str, Any], default: str | None, expected: str) -> None:
    keys = sources(keys=[_entry(key_file, **entry)], identity=default)
    assert names(keys, "anna@example.nl") == [("example.nl", "mail", expected)]


def test_all_problems_are_told_at_once(tmp_path: Path, key_file: Path, keys: Keys) -> None:
    short = write_key(tmp_path / "short.private", keys.short_rsa)
    readable = write_key(tmp_path / "readable.private", keys.rsa)
    readable.chmod(0o644)
    found = problems(
        keys=[
            _entry(key_file, "example.nl"),
            _entry(tmp_path / "none", "example.nl", "two"),
            _entry(short, "example.nl", "three"),
            _entry(key_file, ".example.nl"),
            _entry(key_file, "*.example.nl"),
            _entry(key_file, "anna@*"),
            _entry(key_file, "no domain"),
            _entry(key_file, "example.nl", "-"),
            _entry(key_file, "example.nl", identity="@example.org"),
            _entry(key_file, "*", subdomains=True),
            _entry(readable, "example.nl"),
            _entry(readable, "example.org"),
        ]
    )
    expected = [
        ("keys[4].domain", "leave out the dot and set subdomains: true"),
        ("keys[5].domain", 'leave out the "*." and set subdomains: true'),
        ("keys[6].domain", "expected a domain, user@domain"),
        ("keys[7].domain", '"no domain" is not a domain'),
        ("keys[8].selector", "is not a selector"),
        ("keys[9].identity", "is not in the signing domain example.nl"),
        ("keys[10].subdomains", "says nothing more"),
        ("keys[11]", "keys[1] has the same domain and selector"),
        ("keys[2].file", "does not exist"),
        ("keys[3].file", "1024 bits, less than 2048"),
        ("keys[12].file", "chmod 640"),
    ]
    assert len(found) == len(expected)
    for text, (key, part) in zip(texts(found), expected, strict=True):
        assert text.startswith(f"0: {key}: ")
        assert part in text


def test_settings_that_allow_more(tmp_path: Path, keys: Keys) -> None:
    path = write_key(tmp_path / "short.private", keys.short_rsa)
    path.chmod(0o644)
    loose = sources(keys=[_entry(path, "example.nl")], min_rsa_bits=1024, require_safe_keys=False)
    assert names(loose, "anna@example.nl") == [("example.nl", "mail", "")]


def test_a_rotated_key_is_used_and_a_removed_one_missed(key_file: Path, keys: Keys, clock: Seconds) -> None:
    found = sources(clock, keys=[_entry(key_file, "example.nl")])
    write_key(key_file.with_name("new"), keys.other_rsa).replace(key_file)
    clock.now += 10
    assert public(found.find("anna", "example.nl")[0].private) == public(keys.other_rsa)
    key_file.unlink()
    clock.now += 10
    with pytest.raises(KeyUnavailableError, match=r"rsa\.private does not exist"):
        found.find("anna", "example.nl")
    assert [problem.key for problem in found.check_all()] == ["daemons.dkim-sign.keys[1].file"]


def test_more_entries_than_a_cache_holds_stay_readable(key_file: Path) -> None:
    many = sources(keys=[_entry(key_file, f"d{number}.example") for number in range(50)])
    key_file.unlink()
    assert names(many, "anna@d0.example") == [("d0.example", "mail", "")]


def test_explain(key_file: Path) -> None:
    keys = sources(keys=[_entry(key_file, "example.nl"), _entry(key_file, "anna@example.nl", "own")])
    assert keys.explain("anna", "example.nl") == "keys[2] (anna@example.nl), keys[1] (example.nl)"
    assert keys.explain("anna", "example.org") == "none of the 2 entries of keys is for this sender"
