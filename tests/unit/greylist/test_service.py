"""What the service answers: to mail that comes for the first time, comes again, or need not wait."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.harness.log_file import LogFile
from tests.unit.greylist.service import Site, play, wait


def test_a_message_that_comes_again(tmp_path: Path, log: LogFile) -> None:
    async def scene(site: Site) -> None:
        assert await site.ask(instance="a") == wait(300)
        site.now += 59.5
        assert await site.ask(instance="b") == wait(241)
        site.now += 252.5
        action = await site.ask(instance="c")
        assert action.startswith("PREPEND X-Greylist: delayed 312 seconds by gatepost at mail.example.net; ")
        site.now += 1
        assert await site.ask(instance="d") == "DUNNO"
        assert site.told == ["deferred", "deferred", "delayed", "known"]
        assert site.counted() == {"deferred": 2, "delayed": 1, "known": 1}

    play(scene, tmp_path, log)
    line = next(line for line in log.lines if line["greylist"] == "delayed")
    facts = {key: line[key] for key in ("client", "sender", "recipient", "origin", "seconds")}
    assert facts == {
        "client": "192.0.2.10", "sender": "alice@example.org", "recipient": "bob@example.net",
        "origin": "192.0.2.0/24", "seconds": 312,
    }  # fmt: skip


def test_the_header_comes_once_a_message(tmp_path: Path, log: LogFile) -> None:
    async def scene(site: Site) -> list[str]:
        recipients = [f"r{n}@example.net" for n in range(3)]
        for recipient in recipients:
            await site.ask(instance="first", recipient=recipient)
        site.now += 301
        actions = [await site.ask(instance="again", recipient=recipient) for recipient in recipients]
        return [action.partition(" ")[0] for action in actions]

    assert play(scene, tmp_path, log) == ["PREPEND", "DUNNO", "DUNNO"]


def test_requests_without_an_instance(tmp_path: Path, log: LogFile) -> None:
    async def scene(site: Site) -> list[str]:
        for sender in ("a@example.org", "b@example.org"):
            await site.ask(instance="", sender=sender)
        site.now += 301
        return [
            (await site.ask(instance="", sender=sender))[:7] for sender in ("a@example.org", "b@example.org")
        ]

    assert play(scene, tmp_path, log) == ["PREPEND", "PREPEND"]


SAME = [
    ("another server of the network", {"client_address": "192.0.2.99", "client_name": "unknown"}),
    ("other case", {"sender": "Alice@EXAMPLE.org", "recipient": "BOB@example.net"}),
    ("extension", {"sender": "alice+x@example.org"}),
    ("batv", {"sender": "prvs=1234abcdef=alice@example.org"}),
    ("other helo", {"helo_name": "other"}),
    ("at DATA", {"protocol_state": "DATA"}),
]
OTHER = [
    ("another network", {"client_address": "192.0.3.10"}),
    ("another sender", {"sender": "carol@example.org"}),
    ("null sender", {"sender": ""}),
    ("another recipient", {"recipient": "carol@example.net"}),
]


@pytest.mark.parametrize("change", [each[1] for each in SAME], ids=[each[0] for each in SAME])
def test_the_same_message(tmp_path: Path, log: LogFile, change: dict[str, str]) -> None:
    async def scene(site: Site) -> str:
        await site.ask()
        site.now += 300
        return await site.ask(**change)

    assert play(scene, tmp_path, log).startswith("PREPEND")


@pytest.mark.parametrize("change", [each[1] for each in OTHER], ids=[each[0] for each in OTHER])
def test_another_message(tmp_path: Path, log: LogFile, change: dict[str, str]) -> None:
    async def scene(site: Site) -> str:
        await site.ask()
        site.now += 300
        return await site.ask(**change)

    assert play(scene, tmp_path, log) == wait(300)


SKIPPED: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    ("login", {}, {"sasl_username": "alice"}),
    ("trusted", {}, {"client_address": "10.1.2.3"}),
    ("ignored", {"ignore_hosts": [".example.org"]}, {}),
    ("allowed_client", {"allow": {"clients": ["example.org"]}}, {}),
    ("allowed_client", {"allow": {"clients": ["192.0.2"]}}, {"client_name": "unknown"}),
    ("allowed_recipient", {"allow": {"recipients": ["bob@"]}}, {}),
    ("allowed_sender", {"allow": {"senders": ["example.org"]}}, {}),
    ("allowed_sender", {"allow": {"senders": ["<>"]}}, {"sender": ""}),
    ("not_chosen", {"greylist": "opt_in", "recipient_domains": ["example.com"]}, {}),
    ("not_chosen", {"greylist": "opt_out", "recipient_domains": ["example.net"]}, {}),
    (
        "not_chosen",
        {"greylist": "opt_out", "recipient_domains": ["xn--bcher-kva.example"]},
        {"recipient": "a@Bücher.example"},
    ),
    ("no_address", {}, {"client_address": "unknown"}),
]


@pytest.mark.parametrize(("reason", "options", "attributes"), SKIPPED)
def test_who_does_not_wait(
    tmp_path: Path, log: LogFile, reason: str, options: dict[str, Any], attributes: dict[str, str]
) -> None:
    async def scene(site: Site) -> None:
        assert await site.ask(**attributes) == "DUNNO"
        assert site.told == [reason]
        assert site.counted() == {reason: 1}
        assert site.spf_asked == []

    play(scene, tmp_path, log, **options)


@pytest.mark.parametrize(
    ("options", "attributes"),
    [
        ({"greylist": "opt_in", "recipient_domains": ["example.net"]}, {}),
        ({"greylist": "opt_out", "recipient_domains": ["example.com"]}, {}),
        ({"allow": {"clients": ["/./"]}}, {"client_name": "unknown"}),
        (
            {"allow": {"clients": ["example.org"]}},
            {"client_name": "unknown", "reverse_client_name": "a.example.org"},
        ),
        ({"allow": {"senders": ["<>"], "recipients": ["abuse@"]}}, {}),
    ],
)
def test_who_waits(tmp_path: Path, log: LogFile, options: dict[str, Any], attributes: dict[str, str]) -> None:
    async def scene(site: Site) -> str:
        return await site.ask(**attributes)

    assert play(scene, tmp_path, log, **options) == wait(300)


@pytest.mark.parametrize("state", ["CONNECT", "EHLO", "MAIL", "VRFY", "ETRN", ""])
def test_other_stages_are_not_its_business(tmp_path: Path, log: LogFile, state: str) -> None:
    async def scene(site: Site) -> None:
        assert await site.ask(protocol_state=state) == "DUNNO"
        assert site.told == []

    play(scene, tmp_path, log)


def test_dry_run_learns_and_lets_pass(tmp_path: Path, log: LogFile) -> None:
    async def scene(site: Site) -> None:
        assert await site.ask() == "DUNNO"
        site.now += 300
        assert await site.ask() == "DUNNO"
        assert site.told == ["deferred", "delayed"]

    play(scene, tmp_path, log, dry_run=True)


def test_the_text_is_the_administrators(tmp_path: Path, log: LogFile) -> None:
    async def scene(site: Site) -> None:
        assert await site.ask(recipient="b@Example.NET") == "DEFER_IF_PERMIT 4.2.0 See example.net/help, 90 s"
        assert await site.ask(recipient="b@b\udcff") == "DEFER_IF_PERMIT 4.2.0 See b\\xff/help, 90 s"

    play(scene, tmp_path, log, text="See {domain}/help, {seconds} s", delay="90s")


def test_without_a_store_mail_passes(tmp_path: Path, log: LogFile) -> None:
    (tmp_path / "file").write_text("")

    async def scene(site: Site) -> None:
        assert await site.ask() == "DUNNO"
        assert await site.ask() == "DUNNO"
        assert site.told == ["store_error", "store_error"]

    play(scene, tmp_path / "file", log)
    assert [line["level"] for line in log.lines if "mail passes" in line.get("message", "")] == ["error"]


def test_without_delay_nothing_is_marked(tmp_path: Path, log: LogFile) -> None:
    async def scene(site: Site) -> None:
        assert await site.ask() == "DUNNO"

    play(scene, tmp_path, log, delay="0s")


@pytest.mark.parametrize(
    "attributes",
    [
        {"sender": "\udcff\x00\n@\udcfe"},
        {"recipient": "x" * 60_000},
        {"sender": "@" * 1000, "helo_name": "\r\n"},
        {"client_address": "fe80::1%eth0\n"},
        {"client_name": "a." * 30_000},
        {"instance": "\0" * 1000},
    ],
)
def test_strange_requests(tmp_path: Path, log: LogFile, attributes: dict[str, str]) -> None:
    async def scene(site: Site) -> None:
        action = await site.ask(**attributes)
        assert action == "DUNNO" or action.startswith("DEFER_IF_PERMIT 4.2.0 ")
        assert action.isprintable()

    play(scene, tmp_path, log, allow={"clients": ["/x$/"], "senders": ["/y/"]})
