"""The age of each key, as the scrape shows it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from gatepost.config.dkim_settings import SigningKeyEntry
from milters.key_ages import MOST, KeyAges

NOW = 1_800_000_000.0


def entry(file: Path, domain: str = "example.nl", **options: str) -> SigningKeyEntry:
    return SigningKeyEntry.model_validate({"domain": domain, "selector": "s", "file": str(file), **options})


def shown(ages: KeyAges) -> Mapping[tuple[str, str], float]:
    [family] = ages.collect()
    assert {sample.labels["daemon"] for sample in family.samples} <= {"dkim-sign"}
    return {(sample.labels["domain"], sample.labels["selector"]): sample.value for sample in family.samples}


def of_age(directory: Path, seconds: float, name: str = "key") -> Path:
    file = directory / name
    file.write_text("")
    os.utime(file, (NOW - seconds, NOW - seconds))
    return file


@pytest.mark.parametrize(
    ("domain", "options", "expected"),
    [
        ("example.nl", {}, "example.nl"),
        ("EXAMPLE.nl", {}, "example.nl"),
        ("*@example.nl", {}, "example.nl"),
        ("anna@example.nl", {}, "example.nl"),
        ("exämple.nl", {}, "xn--exmple-cua.nl"),
        ("*", {}, "*"),
        ("*", {"signing_domain": "example.org"}, "example.org"),
    ],
)
def test_a_key_goes_by_its_signing_domain(
    tmp_path: Path, domain: str, options: Mapping[str, str], expected: str
) -> None:
    ages = KeyAges("dkim-sign", [entry(of_age(tmp_path, 90), domain, **options)], lambda: NOW)
    assert shown(ages) == {(expected, "s"): 90.0}


def test_a_new_key_is_young_and_one_out_of_sight_grows_older(tmp_path: Path) -> None:
    now = [NOW]
    ages = KeyAges("dkim-sign", [entry(of_age(tmp_path, 5000))], lambda: now[0])
    of_age(tmp_path, 10)
    assert shown(ages) == {("example.nl", "s"): 10.0}
    (tmp_path / "key").unlink()
    now[0] += 60
    assert shown(ages) == {("example.nl", "s"): 70.0}


def test_a_key_never_seen_has_no_age_and_none_comes_from_the_future(tmp_path: Path) -> None:
    entries = [entry(tmp_path / "none"), entry(of_age(tmp_path, -500), "example.org")]
    assert shown(KeyAges("dkim-sign", entries, lambda: NOW)) == {("example.org", "s"): 0.0}


def test_a_host_of_many_domains_does_not_flood_the_scrape(tmp_path: Path) -> None:
    key = of_age(tmp_path, 1)
    entries = [entry(key, f"d{number}.example") for number in range(MOST + 50)]
    assert len(shown(KeyAges("dkim-sign", entries, lambda: NOW))) == MOST
