"""The options of the greylist, and the lists and store that come of them."""

from __future__ import annotations

import importlib.util
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gatepost.config.errors import ConfigError
from gatepost.config.greylist_settings import Greylist, StoreAddress
from gatepost.config.types import SocketAddress
from policy.greylisting.setup import check_store, list_files, make_store, read_lists
from tests.harness.log_file import LogFile

ROOT = Path(__file__).parents[3]


def settings(**options: Any) -> Greylist:
    return Greylist(socket=[SocketAddress("inet", "127.0.0.1", 10023)], **options)


@pytest.mark.parametrize(
    ("text", "kind", "value", "shown"),
    [
        ("/var/lib/g.sqlite", "sqlite", "/var/lib/g.sqlite", "sqlite:/var/lib/g.sqlite"),
        ("sqlite:/var/lib/g.sqlite", "sqlite", "/var/lib/g.sqlite", "sqlite:/var/lib/g.sqlite"),
        ("redis://127.0.0.1:6379/2", "redis", "redis://127.0.0.1:6379/2", "redis://127.0.0.1:6379/2"),
        ("redis://[::1]", "redis", "redis://[::1]", "redis://[::1]"),
        (
            "rediss://u:secret@db.example:1/0",
            "redis",
            "rediss://u:secret@db.example:1/0",
            "rediss://db.example:1/0",
        ),
        ("unix:///run/redis/s?db=1", "redis", "unix:///run/redis/s?db=1", "unix:///run/redis/s"),
    ],
)
def test_stores(text: str, kind: str, value: str, shown: str) -> None:
    store = settings(store=text).store
    assert (store.kind, store.value, str(store)) == (kind, value, shown)
    assert StoreAddress.parse(store) is store


@pytest.mark.parametrize(
    "text",
    ["", "greylist.sqlite", "sqlite:", "sqlite:relative", "/directory/", "mysql://h/db", "redis://", "redis:///1",
     "redis://h:port/0", "redis://h:99999/0", "redis://h/name", "unix://relative", "unix://run/redis",
     "redis://h/0\nx", 5, None],
)  # fmt: skip
def test_stores_that_are_none(text: object) -> None:
    with pytest.raises(ValidationError, match="expected"):
        settings(store=text)


def test_a_password_is_not_repeated() -> None:
    for text in ("redis://:secret@/x", "mysql://:secret@h/0", "redis://:secret@h:port/0"):
        with pytest.raises(ValueError, match="expected") as raised:
            StoreAddress.parse(text)
        assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"delay": "2d"}, "longer than delay"),
        ({"greylist": "opt_in"}, "needs recipient_domains"),
        ({"greylist": "some"}, "opt_in"),
        ({"text": "{who}"}, "only {seconds} and {domain}"),
        ({"text": "{0} {seconds}"}, "only {seconds} and {domain}"),
        ({"text": "line\nbreak"}, "printable ASCII"),
        ({"text": "é"}, "printable ASCII"),
        ({"text": " "}, "printable ASCII"),
        ({"text": "x" * 401}, "at most 400"),
        ({"ipv4_prefix": 33}, "less than or equal to 32"),
        ({"ipv6_prefix": 0}, "greater than or equal to 16"),
        ({"auto_allow": -1}, "greater than or equal to 0"),
        ({"dnswl": "no.such domain"}, "expected a domain"),
        ({"dnswl": "yes"}, "expected the domain of a DNS list"),
        ({"dnswl": ["list.dnswl.org"]}, "expected the domain of a DNS list"),
        ({"allow": {"client": []}}, "Extra inputs"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        settings(**options)


@pytest.mark.parametrize(
    ("value", "domain"),
    [("list.dnswl.org", "list.dnswl.org"), ("Dnswl.Example.", "dnswl.example"), ("no", None)],
)
def test_lists_of_mail_servers(value: object, domain: str | None) -> None:
    assert settings(dnswl=value).dnswl == domain


def test_all_that_is_wrong_with_the_lists_is_told_at_once(tmp_path: Path) -> None:
    clients, senders = tmp_path / "clients", tmp_path / "senders"
    clients.write_text("# first\nexample.org\n/(a+)+$/\nx y\n")
    senders.write_bytes(b"a@\xff\xfe\n")
    allow = {
        "clients": ["fine.example", "300.1.2.3"],
        "client_files": [str(clients), str(tmp_path / "none")],
        "recipients": ["@"],
        "sender_files": [str(senders)],
    }
    made = settings(allow=allow)
    with pytest.raises(ConfigError) as raised:
        read_lists(made, "daemons.greylist")
    places = [(problem.key or problem.file, problem.line) for problem in raised.value.problems]
    assert places == [
        ("daemons.greylist.allow.clients[2]", 0),
        (str(clients), 3),
        (str(clients), 4),
        ("daemons.greylist.allow.client_files[2]", 0),
        ("daemons.greylist.allow.recipients[1]", 0),
        (str(senders), 1),
    ]
    assert all(problem.text.isprintable() for problem in raised.value.problems)
    assert list_files(made) == [clients, tmp_path / "none", senders]


def test_the_list_that_comes_with_it() -> None:
    made = settings(allow={"client_files": [str(ROOT / "conf" / "greylist-allow")]})
    clients, _, _ = read_lists(made, "daemons.greylist")
    assert clients.find("mail-ej1-f1.google.com", "192.0.2.1") == "google.com"
    assert clients.find("mx.example.org", "192.0.2.1") == ""


def test_redis_has_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = settings(store="redis://127.0.0.1/0")
    check_store(made, "daemons.greylist")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    check_store(settings(), "daemons.greylist")
    with pytest.raises(ConfigError, match=r"daemons\.greylist\.store: .*gatepost\[redis\]"):
        check_store(made, "daemons.greylist")


def test_a_store_is_not_opened_before_it_is_asked(tmp_path: Path, log: LogFile) -> None:
    make_store(settings(store=str(tmp_path / "g.sqlite")), log.log)
    assert not (tmp_path / "g.sqlite").exists()


def test_the_script_is_part_of_the_package() -> None:
    assert resources.files("policy.greylisting").joinpath("judge.lua").is_file()
