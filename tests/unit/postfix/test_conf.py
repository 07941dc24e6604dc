"""What is shipped in conf/ is in order."""

from __future__ import annotations

import re

import pytest

from tests.unit.postfix.support import CONF, config, found, shipped


@pytest.mark.parametrize(("kind", "without"), [("filtered", []), ("simple", ["dmarc-stamp"])])
def test_nothing_is_found_in_the_shipped_files(kind: str, without: list[str]) -> None:
    main, master = shipped(kind)
    assert [str(finding) for finding in found(main, master, config(*without))] == []


def test_the_files_that_the_shipped_ones_name_are_shipped() -> None:
    directory = CONF / "postfix" / "filtered"
    named = set(re.findall(r"regexp:/etc/postfix/(\S+)", (directory / "master.cf").read_text()))
    assert named == {"submission_headers", "outward_headers"}
    for name in named:
        text = (directory / name).read_text()
        for line in text.splitlines():
            assert not line or line.startswith("#") or re.fullmatch(r"/.+/\s+IGNORE", line), line


def test_amavis_and_postfix_mean_the_same_ports() -> None:
    master = (CONF / "postfix" / "filtered" / "master.cf").read_text()
    amavis = (CONF / "amavis" / "50-gatepost").read_text()
    listening = set(re.findall(r"\$inet_socket_port = \[(\d+), (\d+)\]", amavis)[0])
    assert set(re.findall(r"content_filter=smtp-amavis:\[127\.0\.0\.1\]:(\d+)", master)) == listening
    handed_on = set(re.findall(r"smtp:\[127\.0\.0\.1\]:(\d+)", amavis))
    assert handed_on == set(re.findall(r"(?m)^127\.0\.0\.1:(\d+)", master))
