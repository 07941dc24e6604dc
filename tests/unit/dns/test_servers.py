from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gatepost.dns.servers import (
    AVOIDED_SECONDS,
    PROBED_SECONDS,
    REREAD_SECONDS,
    Servers,
    SystemServers,
    server,
    system_servers,
)
from tests.harness.clock import Seconds


@pytest.mark.parametrize(
    ("host", "family", "text"),
    [
        ("192.0.2.1", socket.AF_INET, "192.0.2.1:53"),
        ("2001:db8::1", socket.AF_INET6, "[2001:db8::1]:53"),
        ("fe80::1%lo", socket.AF_INET6, "[fe80::1%lo]:53"),
    ],
)
def test_addresses(host: str, family: int, text: str) -> None:
    assert server(host).family == family
    assert str(server(host)) == text


@pytest.mark.parametrize("host", ["localhost", "", "192.0.2.256", "::1%nosuchinterface", "a" * 70, "\ud800"])
def test_what_is_no_address(host: str) -> None:
    with pytest.raises(ValueError, match="not an IP address"):
        server(host)


def test_nothing_but_nameservers_is_read(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_bytes(
        b"# nameserver 192.0.2.9\nsearch ..bad.. example.org\ndomain \xff\noptions edns0\n"
        b"nameserver 192.0.2.1\nnameserver\t::1 # here\nnameserver nonsense\nnameserver\n"
    )
    assert [each.host for each in system_servers(path)] == ["192.0.2.1", "::1"]


def test_no_file_names_no_servers(tmp_path: Path) -> None:
    assert system_servers(tmp_path / "resolv.conf") == []


def test_a_changed_file_names_others(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    clock = Seconds()
    servers = SystemServers(clock, file)

    def hosts() -> list[str]:
        clock.now += REREAD_SECONDS
        return [each.host for each in servers.order()]

    assert hosts() == []
    file.write_text("nameserver 192.0.2.1\nnameserver 192.0.2.2\n")
    assert hosts() == ["192.0.2.1", "192.0.2.2"]
    servers.silent(servers.order()[0])
    assert hosts() == ["192.0.2.2", "192.0.2.1"]
    file.write_text("nameserver 192.0.2.1\nnameserver 192.0.2.33\n")
    assert hosts() == ["192.0.2.33", "192.0.2.1"]
    servers.answered(server("192.0.2.1"))
    assert hosts() == ["192.0.2.1", "192.0.2.33"]
    file.write_text("")
    assert hosts() == ["192.0.2.1", "192.0.2.33"]
    file.unlink()
    assert hosts() == ["192.0.2.1", "192.0.2.33"]


def test_silent_servers_are_asked_last_for_a_while() -> None:
    clock = Seconds()
    a, b, c = (server(f"192.0.2.{number}") for number in (1, 2, 3))
    servers = Servers([a, b, c, a], clock)
    assert servers.order() == (a, b, c)
    servers.silent(a)
    assert servers.order() == (b, c, a)
    servers.silent(b)
    assert servers.order() == (c, a, b)
    servers.answered(a)
    assert servers.order() == (a, c, b)
    clock.now += AVOIDED_SECONDS
    assert servers.order() == (a, b, c)


def test_one_question_finds_out_whether_a_server_answers_again() -> None:
    clock = Seconds()
    a, b = (server(host) for host in ("192.0.2.1", "192.0.2.2"))
    servers = Servers((a, b), clock)
    servers.silent(a)
    clock.now += AVOIDED_SECONDS
    assert [servers.order()[0] for _ in range(3)] == [a, b, b]
    clock.now += PROBED_SECONDS
    assert [servers.order()[0] for _ in range(3)] == [a, b, b], "nothing was heard of the first"
    servers.answered(a)
    assert [servers.order()[0] for _ in range(3)] == [a, a, a]
