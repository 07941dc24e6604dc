"""The age of each key, as the scrape shows it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from gatepost.dkim.keys.source import KeyPlace
from milters.key_ages import KeyAges

NOW = 1_800_000_000.0


def place(file: Path, domain: str = "example.nl") -> KeyPlace:
    return KeyPlace(domain, "s", str(file))


def shown(ages: KeyAges) -> Mapping[tuple[str, str], float]:
    [family] = ages.collect()
    assert {sample.labels["daemon"] for sample in family.samples} <= {"dkim-sign"}
    return {(sample.labels["domain"], sample.labels["selector"]): sample.value for sample in family.samples}


def of_age(directory: Path, seconds: float) -> Path:
    file = directory / "key"
    file.write_text("")
    os.utime(file, (NOW - seconds, NOW - seconds))
    return file


def test_keys_go_by_their_signing_domain(tmp_path: Path) -> None:
    file = of_age(tmp_path, 90)
    ages = KeyAges("dkim-sign", [place(file), place(file, "")], lambda: NOW)
    assert shown(ages) == {("example.nl", "s"): 90.0, ("*", "s"): 90.0}


def test_a_new_key_is_young_and_one_out_of_sight_grows_older(tmp_path: Path) -> None:
    now = [NOW]
    ages = KeyAges("dkim-sign", [place(of_age(tmp_path, 5000))], lambda: now[0])
    of_age(tmp_path, 10)
    assert shown(ages) == {("example.nl", "s"): 10.0}
    (tmp_path / "key").unlink()
    now[0] += 60
    assert shown(ages) == {("example.nl", "s"): 70.0}


def test_a_key_never_seen_has_no_age_and_none_comes_from_the_future(tmp_path: Path) -> None:
    places = [place(tmp_path / "none"), place(of_age(tmp_path, -500), "example.org")]
    assert shown(KeyAges("dkim-sign", places, lambda: NOW)) == {("example.org", "s"): 0.0}
