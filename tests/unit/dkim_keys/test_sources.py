from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.harness.clock import Seconds
from tests.unit.dkim_keys.conftest import Keys, write_key
from tests.unit.dkim_keys.support import names, problems, sources, texts, write


@pytest.fixture
def everything(tmp_path: Path, key_file: Path, keys: Keys) -> dict[str, Any]:
    """All four sources for all.example, and one domain more for each."""
    for domain in ("all.example", "path.example"):
        write_key(tmp_path / f"{domain}.dkim.key", keys.rsa)
    write(tmp_path / "KeyTable", f"k %:table:{key_file}\n")
    write(tmp_path / "SigningTable", "all.example k\npath.example k\ntable.example k\n")
    write_key(tmp_path / "list", keys.rsa)
    write(
        tmp_path / "KeyList", "".join(f"*@{d}:{d}:{tmp_path}/list\n" for d in ("all.example", "list.example"))
    )
    return {
        "keys": [
            {"domain": d, "selector": "entry", "file": str(key_file)}
            for d in ("all.example", "entry.example")
        ],
        "key_path": str(tmp_path / "{domain}.{selector}.key"),
        "key_table": str(tmp_path / "KeyTable"),
        "signing_table": str(tmp_path / "SigningTable"),
        "key_list": str(tmp_path / "KeyList"),
    }


@pytest.mark.parametrize(
    ("domain", "selector"),
    [
        ("all.example", "entry"),
        ("entry.example", "entry"),
        ("path.example", "dkim"),
        ("table.example", "table"),
        ("list.example", "list"),
    ],
)
def test_the_first_source_with_a_key_decides(everything: dict[str, Any], domain: str, selector: str) -> None:
    assert names(sources(**everything), f"anna@{domain}") == [(domain, selector, "")]


def test_nobodys_domain(everything: dict[str, Any], tmp_path: Path) -> None:
    found = sources(**everything)
    assert found.find("anna", "other.example") == []
    assert found.explain("anna", "other.example") == "; ".join(
        [
            "none of the 2 entries of keys is for this sender",
            f"key_path: {tmp_path}/other.example.dkim.key does not exist",
            f"none of the 3 rules in {tmp_path}/SigningTable is for this sender",
            f"none of the 2 lines in {tmp_path}/KeyList is for this sender",
        ]
    )


def test_what_is_watched(everything: dict[str, Any], tmp_path: Path) -> None:
    found = sources(**everything)
    assert found.watched_files() == [tmp_path / name for name in ("KeyTable", "SigningTable", "KeyList")]


@pytest.mark.parametrize("domain", ["", "a;b", "a.example\r\nX: y", "b" * 300, "%"])
def test_a_domain_that_is_none_gets_no_key(key_file: Path, domain: str) -> None:
    found = sources(keys=[{"domain": "*", "selector": "s", "file": str(key_file)}])
    assert found.find("anna", domain) == []
    assert found.explain("anna", domain) == "the sender has no valid domain"


def test_no_source_at_all() -> None:
    found = sources()
    assert found.find("anna", "a.example") == []
    assert found.explain("anna", "a.example") == "no keys are configured"
    assert found.check_all() == []


def test_problems_of_all_sources_at_once(tmp_path: Path) -> None:
    found = problems(
        keys=[{"domain": "a.example", "selector": "s", "file": str(tmp_path / "none")}],
        key_path="/no/place",
        signing_table="db:/x",
        key_table=str(tmp_path / "none"),
        key_list=str(tmp_path / "none"),
        identity="nobody",
    )
    assert [text.split(": ")[1] for text in texts(found)] == [
        "identity",
        "keys[1].file",
        "key_path",
        "signing_table",
        "key_list",
    ]


def test_a_refused_change_is_told_once(tmp_path: Path, keys: Keys) -> None:
    path = write_key(tmp_path / "a.example.dkim.key", keys.rsa)
    write(tmp_path / "KeyTable", f"k %:table:{path}\n")
    write(tmp_path / "SigningTable", "a.example k\n")
    clock = Seconds()
    found = sources(
        clock,
        key_path=str(tmp_path / "{domain}.{selector}.key"),
        key_table=str(tmp_path / "KeyTable"),
        signing_table=str(tmp_path / "SigningTable"),
    )
    assert names(found, "anna@a.example") == [("a.example", "dkim", "")]
    path.write_text("x")
    clock.now += 10
    assert names(found, "anna@a.example") == [("a.example", "dkim", "")]
    assert [error.path for error in found.refused_changes()] == [path]


def test_where_the_keys_lie_is_known_without_reading_them(everything: dict[str, Any], tmp_path: Path) -> None:
    found = sources(**everything)
    places = {(place.domain, place.selector): place.file for place in found.places(100)}
    assert set(places) == {
        ("all.example", "entry"),
        ("entry.example", "entry"),
        ("all.example", "dkim"),
        ("path.example", "dkim"),
        ("", "table"),
        ("all.example", "list"),
        ("list.example", "list"),
    }
    assert places["path.example", "dkim"] == str(tmp_path / "path.example.dkim.key")
    assert {(key.domain, key.selector): key.file for key in found.named()} == places
    # They are as many as there may be of one label, and the first ones.
    assert [place.selector for place in found.places(3)] == ["entry", "entry", "dkim"]
    (tmp_path / "list").rename(tmp_path / "list.pem")
    assert found.places(100)[-1].file == str(tmp_path / "list.pem")
