"""All inputs that are kept, once more, without atheris: what was right, or was mended, stays so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import corpora

LARGEST_TREE = 100_000


@pytest.mark.parametrize("name", corpora.names())
def test_every_input(name: str) -> None:
    target = corpora.target(name)
    for octets in corpora.inputs(name):
        try:
            target.check(octets)
        except Exception as error:
            pytest.fail(f"{octets!r}: {error!r}")


@pytest.mark.parametrize("name", corpora.names())
def test_every_target_states_what_has_to_hold(name: str) -> None:
    target = corpora.target(name)
    assert "\n- " in (target.__doc__ or "")
    assert len(target.SEEDS) >= 4
    assert target.WORDS


def test_the_corpora_belong_to_targets_and_stay_small() -> None:
    files = list(corpora.DIRECTORY.iterdir())
    assert {file.stem for file in files} <= set(corpora.names())
    assert sum(file.stat().st_size for file in files) < LARGEST_TREE


def test_what_is_kept_is_read_again_and_what_broke_something_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpora, "DIRECTORY", tmp_path)
    octets = [b"", b'a "quoted" \\ text\r\n', bytes(range(256)), "\u00fc\u2028".encode()]
    corpora.keep("body", octets)
    assert sorted(corpora.kept("body")) == sorted(octets)
    file = corpora.file_of("body")
    file.write_text('# It broke the reader.\n"broken"\n' + file.read_text())
    corpora.keep("body", [b"new"])
    assert corpora.kept("body") == [b"broken", b"new"]
    assert file.read_text().startswith("# It broke the reader.\n")
