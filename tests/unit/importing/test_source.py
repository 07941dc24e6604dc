"""Reading other daemons' files."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.importing.source import is_shell, parse_equations, parse_shell, parse_words
from gatepost.importing.take_over import PEERS, take_over
from gatepost.importing.yaml_text import to_yaml
from tests.unit.importing.support import Host


def pairs(text: str, files: dict[str, str] | None = None) -> list[tuple[str, str]]:
    source = parse_words(text, "/etc/x", Host(files or {}).read)
    return [(setting.name, setting.value) for setting in source.settings]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mode sv", [("Mode", "sv")]),
        ("  Mode\t\tsv  # both\n\n# Mode s\n", [("Mode", "sv")]),
        ("Syslog", [("Syslog", "")]),
        ("Domain a.example, b.example", [("Domain", "a.example, b.example")]),
        ("A#B", [("A", "")]),
        ("Mode sv\r\nSyslog yes\r\n", [("Mode", "sv"), ("Syslog", "yes")]),
    ],
)
def test_words(text: str, expected: list[tuple[str, str]]) -> None:
    assert pairs(text) == expected


def test_an_included_file_stands_where_it_is_included() -> None:
    source = parse_words("A 1\nInclude /etc/y\nB 2", "/etc/x", Host({"/etc/y": "\nA 3"}).read)
    assert [(each.name, str(each.place)) for each in source.settings] == [
        ("A", "/etc/x:1"),
        ("Include", "/etc/x:2"),
        ("A", "/etc/y:2"),
        ("B", "/etc/x:3"),
    ]
    found = source.value("a")
    assert found is not None
    assert found.value == "3"


def test_a_file_that_includes_itself_ends() -> None:
    source = parse_words(
        "Include /etc/x\nInclude /etc/x", "/etc/x", Host({"/etc/x": "Include /etc/x\n" * 9}).read
    )
    assert len(source.settings) <= 101
    assert "too often" in source.flaws[0].text


def test_an_included_file_that_is_not_there() -> None:
    source = parse_words("Include /etc/y", "/etc/x", Host({}).read)
    assert [str(flaw.place) for flaw in source.flaws] == ["/etc/x:1"]


def test_equations() -> None:
    source = parse_equations("A = b, c # d\nE=\nF\n=g\nReason = a = b", "/etc/x")
    assert [setting[:2] for setting in source.settings] == [("A", "b, c"), ("E", ""), ("Reason", "a = b")]
    assert [flaw.place.line for flaw in source.flaws] == [3, 4]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('A="b c"', "b c"),
        ("A='$B'", "$B"),
        ("B=1\nA=$B/2", "1/2"),
        ("B=1\nA=${B}2", "12"),
        ("A=x\nA=$A-y", "x-y"),
        ("A=$C", "$C"),
        ("A=b # c", "b"),
        ('A="b \\\nc"', "b c"),
        ("export A=b", "b"),
        ("A=", ""),
    ],
)
def test_shell(text: str, expected: str) -> None:
    source = parse_shell(text, "/etc/default/x")
    found = source.value("A")
    assert found is not None
    assert found.value == expected
    assert source.flaws == []


def test_shell_that_is_no_assignment() -> None:
    source = parse_shell('. /etc/y\nA="b', "/etc/default/x")
    assert [flaw.place.line for flaw in source.flaws] == [1, 2]


def test_variables_that_grow_do_not_fill_the_memory() -> None:
    text = "A=xxxxxxxxxx\n" + "A=$A$A$A$A$A$A$A$A\n" * 40
    found = parse_shell(text, "/etc/default/x").value("A")
    assert found is not None
    assert len(found.value) < 600_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# c\nSOCKET=inet:1@localhost\n", True),
        ("Socket inet:1\n", False),
        ("", False),
        ("SOCKET=x\nMode sv", False),
    ],
)
def test_files_of_assignments_are_known_from_configurations(text: str, expected: bool) -> None:
    assert is_shell(text) is expected


_NAMES = sorted(known.name for catalogue in PEERS.values() for known in catalogue)
_VALUES = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "yes",
            "no",
            "0",
            "-1",
            "99999999999",
            "/etc/x",
            "refile:/etc/x",
            "csl:",
            "text,/etc/x",
            "*,+a",
            "127.0.0.1/33",
        ]
    ),
)
_LINES = st.lists(
    st.builds(
        lambda name, sign, value: f"{name}{sign}{value}",
        st.sampled_from(_NAMES),
        st.sampled_from([" ", " = ", "="]),
        _VALUES,
    ),
    max_size=8,
)


@settings(max_examples=200, deadline=None)
@given(
    peer=st.sampled_from(sorted(PEERS)),
    texts=st.lists(st.one_of(st.text(max_size=60), _LINES.map("\n".join)), min_size=1, max_size=2),
    other=st.text(max_size=60),
)
def test_nothing_that_stands_in_a_file_raises(peer: str, texts: list[str], other: str) -> None:
    host = Host({"/etc/x": other})
    draft = take_over(peer, [(f"/etc/{number}", text) for number, text in enumerate(texts)], host.read)
    assert yaml.safe_load(to_yaml(draft)) == draft.plain()


@settings(max_examples=200, deadline=None)
@given(options=st.text(max_size=80))
def test_no_command_line_raises(options: str) -> None:
    take_over("postgrey", [("/etc/default/postgrey", f"POSTGREY_OPTS={options}")], Host({}).read)
