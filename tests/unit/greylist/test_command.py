"""``gatepost greylist``, on both kinds of store."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from gatepost.cli import greylist
from gatepost.cli.status import FINE, NOT_IN_ORDER, USAGE
from gatepost.config.errors import ConfigError
from policy.greylisting.key import Triplet
from policy.greylisting.store import Question, Store
from tests.harness.redis_server import RedisServer
from tests.unit.greylist.support import RULES, redis_store, sqlite_store

Command = Callable[..., int]


class Place:
    """A configuration, and the store that it names."""

    def __init__(self, directory: Path, address: str, make: Callable[[], Store]) -> None:
        self.file = directory / "gatepost.yaml"
        self.file.write_text(
            "authserv_id: mail.example.net\n"
            f"daemons:\n  greylist: {{socket: 'inet:10023', store: '{address}'}}\n"
        )
        self._make = make

    def fill(self) -> None:
        async def filled() -> None:
            store = self._make()
            now = time.time() - 1000
            waiting = [
                Triplet("192.0.2.0/24", "alice@example.org", "bob@example.net"),
                Triplet("192.0.2.0/24", "<>", "bob@example.net"),
                Triplet("spf:example.com", "bounce-#@example.com", f"{'x' * 80}@example.net"),
            ]
            await store.judge([Question(each) for each in waiting], now)
            await store.judge([Question(waiting[0])], now + RULES.delay)
            await store.close()

        asyncio.run(filled())

    def run(self, *words: str) -> int:
        parser = argparse.ArgumentParser()
        greylist.add_arguments(parser)
        return greylist.main(parser.parse_args([*words, "--config", str(self.file)]))


@pytest.fixture(params=["sqlite", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "sqlite":
        return Place(tmp_path, str(tmp_path / "greylist.sqlite"), lambda: sqlite_store(tmp_path))
    server: RedisServer = request.getfixturevalue("shared_redis")
    with redis.Redis.from_url(server.url) as client:
        client.flushdb()
    return Place(tmp_path, server.url, lambda: redis_store(server))


def shown(place: Place, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert place.run(*words, "--json") == FINE
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize(
    ("words", "senders"),
    [
        ((), {"alice@example.org", "<>", "bounce-#@example.com"}),
        (("--client", "192.0.2.77"), {"alice@example.org", "<>"}),
        (("--client", "192.0.2.0/24"), {"alice@example.org", "<>"}),
        (("--client", "example.com"), {"bounce-#@example.com"}),
        (("--client", "spf:example.com"), {"bounce-#@example.com"}),
        (("--sender", "Alice+x@example.org"), {"alice@example.org"}),
        (("--sender", "bounce-1234@example.com"), {"bounce-#@example.com"}),
        (("--sender", "example.com"), {"bounce-#@example.com"}),
        (("--sender", "*@example.*"), {"alice@example.org", "bounce-#@example.com"}),
        (("--sender", "<>"), {"<>"}),
        (("--sender", ""), {"<>"}),
        (("--recipient", "bob@example.net"), {"alice@example.org", "<>"}),
        (("--recipient", "example.net", "--client", "192.0.2.1", "--sender", "a*"), {"alice@example.org"}),
        (("--recipient", "nobody@example.net"), set()),
    ],
)
def test_show(
    place: Place, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], senders: set[str]
) -> None:
    place.fill()
    found = shown(place, capsys, "show", *words)
    assert {entry["sender"] for entry in found["entries"]} == senders
    assert found["next"] is None


def test_show_for_people(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.fill()
    assert place.run("show") == FINE
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split()[:4] == ["origin", "sender", "recipient", "state"]
    assert len(lines) == 3
    column = heading.index("state")
    assert sorted(line[column:].split()[0] for line in lines) == ["passed", "waiting", "waiting"]
    assert any("x…" in line for line in lines)
    assert place.run("show", "--sender", "nobody@example.org") == FINE
    assert capsys.readouterr().err == "nothing found\n"


def test_show_origins(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.fill()
    assert place.run("allow", "example.com") == FINE
    assert capsys.readouterr().out == "spf:example.com passes at once, until it is forgotten\n"
    found = shown(place, capsys, "show", "--origins")
    facts = {
        each["origin"]: (each["deliveries"], each["state"], each["expires"]) for each in found["origins"]
    }
    assert facts.pop("spf:example.com") == (0, "by hand", None)
    assert facts["192.0.2.0/24"][:2] == (1, "after waiting")
    assert place.run("show", "--origins") == FINE
    assert "by hand" in capsys.readouterr().out


def test_pages(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    async def fill() -> None:
        store = place._make()
        await store.judge(
            [Question(Triplet("192.0.2.0/24", f"s{n}@x", "r@y")) for n in range(900)], time.time()
        )
        await store.close()

    asyncio.run(fill())
    seen: list[str] = []
    after: list[str] = []
    while True:
        found = shown(place, capsys, "show", "--limit", "200", *after)
        seen += [entry["sender"] for entry in found["entries"]]
        if found["next"] is None:
            break
        after = ["--after", found["next"]]
    assert sorted(set(seen)) == sorted(f"s{n}@x" for n in range(900))
    assert place.run("show", "--limit", "200") == FINE
    assert "there is more: the same with --after '" in capsys.readouterr().err


def test_allow_and_forget(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.fill()
    assert shown(place, capsys, "allow", "192.0.2.9") == {"allowed": "192.0.2.0/24"}
    assert shown(place, capsys, "stats")["allowed"] == 1
    assert place.run("forget", "--sender", "alice@example.org") == FINE
    assert capsys.readouterr().out == "forgotten: 1 entries, 0 networks or domains\n"
    assert shown(place, capsys, "forget", "--client", "192.0.2.9") == {"entries": 1, "origins": 1}
    assert place.run("forget", "--client", "192.0.2.9") == NOT_IN_ORDER
    capsys.readouterr()
    assert shown(place, capsys, "forget", "--all") == {"entries": 1, "origins": 0}


def test_stats(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.fill()
    found = shown(place, capsys, "stats")
    assert [found[key] for key in ("waiting", "passed", "origins", "allowed")] == [2, 1, 1, 0]
    assert place.run("stats") == FINE
    assert "waiting for another attempt  2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("forget",), "say what to forget"),
        (("forget", "--all", "--client", "192.0.2.1"), "leave --client"),
        (("show", "--origins", "--sender", "a@b"), "neither senders"),
        (("show", "--client", "192.0.0.0/16"), "192.0.0.0/24"),
        (("show", "--client", "no one"), "no address, network or domain"),
        (("allow", "10.0.0.0/8"), "10.0.0.0/24"),
    ],
)
def test_what_cannot_be_meant(
    place: Place, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], complaint: str
) -> None:
    place.fill()
    assert place.run(*words) == USAGE
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["0", "10001", "x", "-1"])
def test_limits(tmp_path: Path, limit: str) -> None:
    with pytest.raises(SystemExit) as raised:
        Place(tmp_path, "/g.sqlite", lambda: sqlite_store(tmp_path)).run("show", "--limit", limit)
    assert raised.value.code == USAGE


def test_a_store_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = Place(tmp_path, str(tmp_path / "greylist.sqlite"), lambda: sqlite_store(tmp_path))
    for words in (("show",), ("stats",), ("allow", "example.org"), ("forget", "--all")):
        assert place.run(*words) == NOT_IN_ORDER
        assert "there is no such file" in capsys.readouterr().err
    assert not (tmp_path / "greylist.sqlite").exists()


@pytest.mark.parametrize(
    ("daemons", "words", "complaint"),
    [
        ("dkim-verify: {socket: 'inet:1'}", (), "no daemon of the kind greylist"),
        (
            "a: {kind: greylist, socket: 'inet:1'}\n  b: {kind: greylist, socket: 'inet:2', store: /other}",
            (),
            "--daemon a or b",
        ),
        ("greylist: {socket: 'inet:1'}", ("--daemon", "x"), 'no greylist is called "x"'),
    ],
)
def test_which_greylist(tmp_path: Path, daemons: str, words: tuple[str, ...], complaint: str) -> None:
    place = Place(tmp_path, "/g.sqlite", lambda: sqlite_store(tmp_path))
    place.file.write_text(f"authserv_id: mail.example.net\ndaemons:\n  {daemons}\n")
    with pytest.raises(ConfigError, match=complaint):
        place.run("stats", *words)


def test_two_greylists_with_one_store_are_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = Place(tmp_path, "", lambda: sqlite_store(tmp_path))
    store = tmp_path / "none.sqlite"
    each = f"{{kind: greylist, socket: 'inet:%d', store: {store}}}"
    place.file.write_text(f"authserv_id: mail.example.net\ndaemons:\n  a: {each % 1}\n  b: {each % 2}\n")
    assert place.run("stats") == NOT_IN_ORDER
    assert f"{store}: there is no such file" in capsys.readouterr().err
