"""Quantities and names, one by one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.config.addresses import HostAndPort, SocketAddress, parse_network
from gatepost.config.names import parse_domain, parse_field_name, parse_host_pattern, parse_path
from gatepost.config.types import Canonicalization
from gatepost.config.units import parse_duration, parse_mode, parse_size
from gatepost.config.words import did_you_mean, listed, printable


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("5s", 5.0),
        ("10m", 600.0),
        ("2h", 7200.0),
        ("1d", 86_400.0),
        ("1w", 604_800.0),
        ("1h30m", 5400.0),
        ("1.5h", 5400.0),
        ("5 S", 5.0),
        ("20", 20.0),
        ("0", 0.0),
        (0.25, 0.25),
        (7, 7.0),
    ],
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "s", "5x", "5s5", "1:30", "1e3", "nan", "inf", "-1", "٣s", True, float("nan")]
)
def test_no_durations(text: object) -> None:
    with pytest.raises(ValueError, match=r"^expected a time such as 5s"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("65536", 65536),
        ("64k", 65536),
        ("64K", 65536),
        ("64kB", 65536),
        ("64 KiB", 65536),
        ("10MB", 10 * 1024**2),
        ("1MiB", 1024**2),
        ("1G", 1024**3),
        ("100B", 100),
        (4096, 4096),
    ],
)
def test_sizes(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "k", "1.5M", "1kk", "-1", "0", "0k", "9999999T", "1ib", True, None])
def test_no_sizes(text: object) -> None:
    with pytest.raises(ValueError, match=r"^expected a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "mode"), [("0660", 0o660), ("660", 0o660), ("0o600", 0o600), (0o640, 0o640), ("000", 0)]
)
def test_modes(text: object, mode: int) -> None:
    assert parse_mode(text) == mode


@pytest.mark.parametrize("text", ["", "66", "0888", "01777", "rw-rw----", "432.0", 0o1000, -1, None])
def test_no_modes(text: object) -> None:
    with pytest.raises(ValueError, match=r"^expected a file mode such as 0660"):
        parse_mode(text)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.1.2.3", "10.1.2.3/32"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("::1", "::1/128"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_networks(text: str, network: str) -> None:
    assert str(parse_network(text)) == network


@pytest.mark.parametrize(
    "text", ["", "10.0.0", "10.0.0.0/33", "fe80::1%eth0", "10.0.0.0/8/8", "::/129", "a/8", None]
)
def test_no_networks(text: object) -> None:
    with pytest.raises(ValueError, match=r"^expected an address or a network"):
        parse_network(text)


@pytest.mark.parametrize(
    ("text", "algorithms"),
    [
        ("relaxed/simple", ("relaxed", "simple")),
        ("relaxed", ("relaxed", "simple")),
        ("Simple/RELAXED", ("simple", "relaxed")),
        (Canonicalization("simple", "simple"), ("simple", "simple")),
    ],
)
def test_canonicalization(text: object, algorithms: tuple[str, str]) -> None:
    assert Canonicalization.parse(text) == algorithms
    assert str(Canonicalization.parse(text)) == "/".join(algorithms)


@pytest.mark.parametrize("text", ["", "/", "relaxed/", "/simple", "nowsp", "relaxed/simple/simple", None])
def test_no_canonicalization(text: object) -> None:
    with pytest.raises(ValueError, match=r"^expected simple or relaxed"):
        Canonicalization.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:",
        ":53",
        "[127.0.0.1]:53",
        "[::1:53",
        "[::1]53",
        "::1",
        "a b:53",
        "-a:53",
        "1.2.3:53",
        "127.0.0.1:٥٣",
    ],
)
def test_no_host_and_port(text: str) -> None:
    with pytest.raises(ValueError, match="expected ADDRESS:PORT such as"):
        HostAndPort.parse(text)


PARSERS: list[Callable[[str], object]] = [
    parse_duration,
    parse_size,
    parse_mode,
    parse_network,
    parse_domain,
    parse_field_name,
    parse_host_pattern,
    parse_path,
    Canonicalization.parse,
    HostAndPort.parse,
    SocketAddress.parse,
]
PIECES = st.sampled_from(
    ["inet", "inet6", "unix", ":", "@", "/", "[", "]", "::1", "127.0.0.1", "8891", "5", "s", "k", ".", "%"]
)


@given(st.sampled_from(PARSERS), st.lists(PIECES | st.text(max_size=3), max_size=6).map("".join))
def test_parsers_raise_nothing_but_one_line(parser: Callable[[str], object], text: str) -> None:
    try:
        parser(text)
        said = ""
    except ValueError as error:
        said = str(error)
    assert said.isprintable()
    assert len(said) < 250


def test_words() -> None:
    assert listed(["a"], "or") == "a"
    assert listed(["a", "b", "c"], "or") == "a, b or c"
    assert did_you_mean("KeyTable", ["key_table", "key_path"]) == ' (did you mean "key_table"?)'
    assert did_you_mean("zzz", ["key_table"]) == ""
    assert did_you_mean("key_table" * 1000, ["key_table"]) == ""
    assert printable("a\nb\x1b\u202e") == r"a\nb\x1b\u202e"
    assert len(printable("x" * 1000)) == 60
