"""Configurations that are used, and the values they give."""

from __future__ import annotations

import os
import socket
from ipaddress import ip_network
from pathlib import Path

import pytest

from gatepost.config.dkim_settings import DkimSign, DkimVerify
from gatepost.config.errors import Problem
from gatepost.config.host import Host
from gatepost.config.load import Loaded, load, parse, read
from gatepost.config.sections import Limits
from gatepost.config.settings import Config
from gatepost.config.types import Canonicalization, HostAndPort, SocketAddress
from tests.unit.config.hosts import HOST

EXAMPLE = """\
authserv_id: mail.example.nl
trusted_networks: [127.0.0.0/8, "::1"]
dns: {nameservers: [], timeout: 5s}     # none given: the system's; ADDRESS or ADDRESS:PORT
log: {level: info, format: text}        # text | json
daemons:
  dkim-verify:   {socket: "inet:8891@127.0.0.1", metrics: "127.0.0.1:9891"}
  dkim-sign:
    socket: inet:8892@127.0.0.1
    metrics: 127.0.0.1:9892
    keys:
      - {domain: example.nl, selector: mail, file: /etc/gatepost/keys/example.nl/mail.private}
"""
VERIFY = "daemons:\n  dkim-verify:\n    socket: inet:8891@127.0.0.1\n"
SIGN = "daemons:\n  dkim-sign:\n    socket: inet:8892\n    key_path: /keys/{domain}.key\n"


def loaded(text: str) -> Loaded:
    return parse(text, "gatepost.yaml", HOST)


def verifier(options: str) -> DkimVerify:
    daemon = loaded(VERIFY + "".join(f"    {line}\n" for line in options.split("\n"))).config.daemons[
        "dkim-verify"
    ]
    assert isinstance(daemon, DkimVerify)
    return daemon


def signer(options: str) -> DkimSign:
    daemon = loaded(SIGN + f"    {options}\n").config.daemons["dkim-sign"]
    assert isinstance(daemon, DkimSign)
    return daemon


def test_the_example() -> None:
    config = loaded(EXAMPLE).config
    assert config.authserv_id == "mail.example.nl"
    assert config.trusted_networks == [ip_network("127.0.0.0/8"), ip_network("::1/128")]
    assert config.dns.timeout == 5.0
    verify, sign = config.daemons.values()
    assert isinstance(verify, DkimVerify)
    assert verify.socket == [SocketAddress("inet", "127.0.0.1", 8891)]
    assert verify.metrics == HostAndPort("127.0.0.1", 9891)
    assert isinstance(sign, DkimSign)
    assert (sign.keys[0].domain, sign.keys[0].selector) == ("example.nl", "mail")
    assert sign.keys[0].file == Path("/etc/gatepost/keys/example.nl/mail.private")
    assert loaded(EXAMPLE).warnings == ()


def test_what_is_not_given() -> None:
    config = loaded(VERIFY).config
    assert config.authserv_id == "mx.example.nl"
    assert config.trusted_networks == [ip_network("127.0.0.0/8"), ip_network("::1/128")]
    assert signer("").canonicalization == Canonicalization("relaxed", "relaxed")
    assert verifier("limits:").limits == Limits()


def test_settings_made_in_code_are_those_of_the_file() -> None:
    verify = DkimVerify(socket=[SocketAddress("inet", "127.0.0.1", 8891)])
    assert Config(authserv_id="mx.example.nl", daemons={"dkim-verify": verify}) == loaded(VERIFY).config


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        ("verify_local: yes", "verify_local", True),
        ("verify_local: on", "verify_local", True),
        ("verify_local: 'true'", "verify_local", True),
        ("ar_for_unsigned: off", "ar_for_unsigned", False),
        ("ar_for_unsigned: No", "ar_for_unsigned", False),
        ("workers: 2", "workers", 2),
        ("workers: '2'", "workers", 2),
        ("user: postfix", "user", "postfix"),
        ("user: ~", "user", None),
        ("metrics:", "metrics", None),
        ("metrics: '[::1]:9891'", "metrics", HostAndPort("::1", 9891)),
        ("metrics: localhost:9891", "metrics", HostAndPort("localhost", 9891)),
        ("drain_timeout: 0", "drain_timeout", 0.0),
        ("clock_drift: 5m", "clock_drift", 300.0),
        ("must_be_signed: [From, SUBJECT]", "must_be_signed", ["from", "subject"]),
        (
            "ignore_hosts: [10.0.0.1, '2001:db8::/32', '!10.0.0.0/8', .Example.nl, '! mx.bücher.example']",
            "ignore_hosts",
            ["10.0.0.1/32", "2001:db8::/32", "!10.0.0.0/8", ".example.nl", "!mx.xn--bcher-kva.example"],
        ),
    ],
)
def test_values(options: str, name: str, value: object) -> None:
    assert getattr(verifier(options), name) == value


@pytest.mark.parametrize(
    ("written", "selector"),
    [
        ("2024", "2024"),
        ("0755", "0755"),
        ("2024-01-01", "2024-01-01"),
        ("no", "no"),
        ("1e3", "1e3"),
        ("12:30:45",) * 2,
    ],
)
def test_a_name_is_what_was_written(written: str, selector: str) -> None:
    assert signer(f"selector: {written}").selector == selector


TCP = SocketAddress("inet", "127.0.0.1", 8891)


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("inet:8891@127.0.0.1", TCP),
        ("inet:8891", TCP),
        ("INET:8891@127.0.0.1", TCP),
        ("inet:127.0.0.1:8891", TCP),
        ("127.0.0.1:8891", TCP),
        ("inet:8891@localhost", SocketAddress("inet", "localhost", 8891)),
        ("localhost:8891", SocketAddress("inet", "localhost", 8891)),
        ("inet:8891@0.0.0.0", SocketAddress("inet", "0.0.0.0", 8891)),
        ("inet6:8891@::1", SocketAddress("inet6", "::1", 8891)),
        ("inet6:8891@2001:DB8:0:0::1", SocketAddress("inet6", "2001:db8::1", 8891)),
        ("'inet6:8891@[::1]'", SocketAddress("inet6", "::1", 8891)),
        ("inet6:8891", SocketAddress("inet6", "::1", 8891)),
        ("inet6:8891@localhost", SocketAddress("inet6", "localhost", 8891)),
        ("'inet:[::1]:8891'", SocketAddress("inet6", "::1", 8891)),
        ("'[::1]:8891'", SocketAddress("inet6", "::1", 8891)),
        ("unix:/run/gatepost/verify", SocketAddress("unix", path="/run/gatepost/verify")),
        ("local:/run/gatepost/verify", SocketAddress("unix", path="/run/gatepost/verify")),
        ("/run/gatepost/verify", SocketAddress("unix", path="/run/gatepost/verify")),
        ("/run/a:1@b", SocketAddress("unix", path="/run/a:1@b")),
        ("unix:/" + "x" * 106, SocketAddress("unix", path="/" + "x" * 106)),
        ("{address: unix:/s}", SocketAddress("unix", path="/s")),
        (
            "{address: /s, mode: 0660, group: postfix}",
            SocketAddress("unix", path="/s", mode=0o660, group="postfix"),
        ),
        ("{address: /s, mode: '0660'}", SocketAddress("unix", path="/s", mode=0o660)),
        ("{address: /s, mode: 660}", SocketAddress("unix", path="/s", mode=0o660)),
        ("{address: /s, mode: 0o666}", SocketAddress("unix", path="/s", mode=0o666)),
    ],
)
def test_sockets(written: str, address: SocketAddress) -> None:
    daemon = loaded(f"daemons: {{dkim-verify: {{socket: [{written}]}}}}").config.daemons["dkim-verify"]
    assert daemon.socket == [address]


def test_one_socket_or_a_list_of_them() -> None:
    daemon = loaded("daemons: {dkim-verify: {socket: [inet:1, {address: unix:/s}]}}").config.daemons[
        "dkim-verify"
    ]
    assert list(map(str, daemon.socket)) == ["inet:127.0.0.1:1", "unix:/s"]
    daemon = loaded("daemons: {dkim-verify: {socket: {address: unix:/s, mode: 0600}}}").config.daemons[
        "dkim-verify"
    ]
    assert daemon.socket == [SocketAddress("unix", path="/s", mode=0o600)]


@pytest.mark.parametrize(
    ("address", "postfix", "libmilter"),
    [
        (TCP, "inet:127.0.0.1:8891", "inet:8891@127.0.0.1"),
        (SocketAddress("inet6", "::1", 8891), "inet:[::1]:8891", "inet6:8891@::1"),
        (SocketAddress("unix", path="/run/s", mode=0o660), "unix:/run/s", "unix:/run/s"),
    ],
)
def test_how_the_neighbours_write_a_socket(address: SocketAddress, postfix: str, libmilter: str) -> None:
    assert (str(address), address.libmilter) == (postfix, libmilter)
    assert SocketAddress.parse(postfix).port == SocketAddress.parse(libmilter).port == address.port


@pytest.mark.parametrize(
    ("text", "daemons"),
    [
        ("{a: {kind: dkim-verify, socket: inet:1}, b: {kind: dkim-verify, socket: inet:2}}", ["a", "b"]),
        (
            "{a: {kind: dkim-verify, socket: inet:1@127.0.0.1}, b: {kind: dkim-verify, socket: inet:1@127.0.0.2}}",
            "ab",
        ),
        (
            "{a: {kind: dkim-verify, socket: inet:1@0.0.0.0}, b: {kind: dkim-verify, socket: 'inet6:1@::'}}",
            "ab",
        ),
    ],
)
def test_two_of_one_kind(text: str, daemons: list[str]) -> None:
    assert list(loaded(f"daemons: {text}").config.daemons) == list(daemons)


@pytest.mark.parametrize(
    ("written", "parsed"),
    [
        ("127.0.0.1", HostAndPort("127.0.0.1", 53)),
        ("127.0.0.1:5353", HostAndPort("127.0.0.1", 5353)),
        ("'::1'", HostAndPort("::1", 53)),
        ("'[::1]'", HostAndPort("::1", 53)),
        ("'[::1]:5353'", HostAndPort("::1", 5353)),
    ],
)
def test_nameservers(written: str, parsed: HostAndPort) -> None:
    assert loaded(VERIFY + f"dns: {{nameservers: [{written}]}}").config.dns.nameservers == [parsed]


def test_authserv_ids_are_names_in_lower_case() -> None:
    config = loaded(
        VERIFY + "authserv_id: Mail.Example.NL\nauthserv_aliases: [bücher.example, mx_1]\n"
    ).config
    assert config.authserv_id == "mail.example.nl"
    assert config.authserv_aliases == ["xn--bcher-kva.example", "mx_1"]


def test_aliases_and_merge_keys() -> None:
    text = """\
daemons:
  one: &common
    kind: dkim-verify
    socket: inet:1
    workers: 3
    limits: &limits {recipients: 5}
  two:
    <<: *common
    socket: inet:2
  three:
    <<: [{kind: dkim-verify}, *common]
    socket: inet:3
    limits:
      <<: *limits
      connections: 7
"""
    one, two, three = loaded(text).config.daemons.values()
    assert (one.workers, two.workers, three.workers) == (3, 3, 3)
    assert two.socket == [SocketAddress("inet", "127.0.0.1", 2)]
    assert (three.limits.recipients, three.limits.connections) == (5, 7)


def test_a_fault_behind_an_alias_is_where_it_was_written() -> None:
    text = VERIFY + "    limits: &l {recipients: 0}\n  two: {kind: dkim-verify, socket: inet:2, limits: *l}\n"
    with pytest.raises(Exception, match=r"(?s)f:4:17: .*f:4:17: "):
        parse(text, "f", HOST)


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        (VERIFY + "dns: {message_timeout: 29s}", []),
        (
            VERIFY + "dns: {message_timeout: 30s}",
            [
                "4:7: dns.message_timeout: Postfix waits 30s for a milter, and then does without:"
                " a time below 30s is better"
            ],
        ),
        (VERIFY + "    limits: {packet: 64k, idle_timeout: 5m, answer_timeout: 5m}", []),
        (
            VERIFY + "    limits: {packet: 32k, idle_timeout: 30s}",
            [
                "4:14: daemons.dkim-verify.limits.packet: Postfix sends 64k of a body at once:"
                " with less, larger mail is put off",
                "4:27: daemons.dkim-verify.limits.idle_timeout: Postfix is silent for as long as its client"
                " may be, 5m: with less, slow clients' mail is put off",
            ],
        ),
        ("daemons:\n  spf: {socket: inet:1, limits: {packet: 1, idle_timeout: 1s, answer_timeout: 99s}}", []),
        (
            "daemons:\n  spf: {socket: inet:1, limits: {answer_timeout: 100s}}",
            [
                "2:34: daemons.spf.limits.answer_timeout: Postfix waits 100s for an answer,"
                " and then defers the mail: take less"
            ],
        ),
    ],
)
def test_warnings(text: str, warnings: list[str]) -> None:
    assert [str(warning) for warning in loaded(text).warnings] == [
        f"gatepost.yaml:{line}" for line in warnings
    ]


def test_a_host_with_a_short_name_is_warned_of() -> None:
    found = parse(VERIFY, "f", Host(name=lambda: "mail"))
    assert found.config.authserv_id == "mail"
    assert list(map(str, found.warnings)) == [
        "f:1:1: authserv_id: not given, and this host has only a short name, mail: "
        'add such as "authserv_id: mail.example.nl"'
    ]
    assert parse(VERIFY + "authserv_id: mail\n", "f", Host(name=lambda: "mail")).warnings == ()


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("daemons.dkim-sign", (7, 3)),
        ("daemons.dkim-sign.keys[1].file", (11, 46)),
        ("daemons.dkim-sign.keys[1]", (11, 9)),
        ("daemons.dkim-sign.keys[9].file", (10, 5)),
        ("daemons.dkim-sign.key_table[3]", (7, 3)),
        ("daemons.dkim-verify.socket", (6, 19)),
        ("seal_secret", (1, 1)),
    ],
)
def test_a_problem_found_later_gets_its_place(key: str, place: tuple[int, int]) -> None:
    problem = loaded(EXAMPLE).locate(Problem("", 0, 0, key, "bad"))
    assert problem == Problem("gatepost.yaml", *place, key, "bad")


def test_a_problem_in_another_file_stays_there() -> None:
    problem = Problem("/etc/KeyTable", 3, 1, "daemons.dkim-sign.key_table", "bad")
    assert loaded(EXAMPLE).locate(problem) == problem


def test_names_with_dots_are_found() -> None:
    text = "daemons:\n  a: {kind: dkim-verify, socket: inet:1}\n  a.b:\n    kind: dkim-verify\n    socket: inet:2\n"
    found = parse(text, "f", HOST).locate(Problem("", 0, 0, "daemons.a.b.socket", "bad"))
    assert (found.line, found.column) == (5, 5)


def test_a_file_on_disk_and_this_host(tmp_path: Path) -> None:
    file = tmp_path / "gatepost.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + EXAMPLE.replace("\n", "\r\n").encode() + b"user: root\r\n")
    assert load(file) == read(file).config
    assert load(file).authserv_id == "mail.example.nl"


def test_this_host() -> None:
    host = Host()
    assert host.name().partition(".")[0] == socket.gethostname().partition(".")[0]
    assert host.user_exists("root")
    assert not host.user_exists("no such user")
    assert not host.user_exists("a\0b")
    assert host.group_exists("root")
    assert not host.group_exists("no such group")


def test_many_keys_are_read_fast() -> None:
    entries = "".join(
        f"      - {{domain: d{i}.example, selector: mail, file: /k/{i}}}\n" for i in range(2000)
    )
    before = os.times()
    config = loaded("daemons:\n  dkim-sign:\n    socket: inet:1\n    keys:\n" + entries).config
    after = os.times()
    sign = config.daemons["dkim-sign"]
    assert isinstance(sign, DkimSign)
    assert len(sign.keys) == 2000
    # Time of this process, as others may share the machine.
    assert after.user + after.system - before.user - before.system < 0.5
