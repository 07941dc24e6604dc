"""What is shipped in conf/ is in order."""

from __future__ import annotations

import re

import pytest

from tests.unit.postfix.support import CONF, changed, config, found, shipped


@pytest.mark.parametrize(("kind", "without"), [("filtered", []), ("simple", ["dmarc-stamp"])])
def test_nothing_is_found_in_the_shipped_files(kind: str, without: list[str]) -> None:
    main, master = shipped(kind)
    assert [str(finding) for finding in found(main, master, config(*without))] == []


def test_nothing_is_found_before_the_queue_once_gatepost_yaml_says_so() -> None:
    main, master = shipped("proxied")
    whole = changed(config("dmarc-stamp"), "dkim-verify", verify_local=True)
    assert [str(finding) for finding in found(main, master, whole)] == []


def test_before_the_queue_only_what_has_to_be_is_different() -> None:
    """What comes from users, and what goes on from there, is the same in both layouts."""
    after, before = (shipped(kind)[1].partition("# --- Ports 587")[2] for kind in ("filtered", "proxied"))
    assert after.partition("# --- Back")[0] == before.partition("# --- Back")[0]
    outward = "# --- Back from Amavis, towards the world"
    assert (
        after.partition(outward)[2].partition("# --- cleanup")[0]
        == (before.partition(outward)[2].partition("# --- cleanup")[0])
    )


@pytest.mark.parametrize("kind", ["filtered", "proxied"])
def test_the_files_that_the_shipped_ones_name_are_shipped(kind: str) -> None:
    directory = CONF / "postfix" / "filtered"
    named = set(re.findall(r"regexp:/etc/postfix/(\S+)", shipped(kind)[1]))
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
