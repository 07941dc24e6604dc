from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.dkim.keys.dataset import Dataset, Kind, Row, parse_dataset, parse_lines, rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/etc/opendkim/KeyTable", Dataset(Kind.FILE, "/etc/opendkim/KeyTable")),
        ("file:/etc/opendkim/KeyTable", Dataset(Kind.FILE, "/etc/opendkim/KeyTable")),
        ("refile:/etc/opendkim/KeyTable", Dataset(Kind.REFILE, "/etc/opendkim/KeyTable")),
        ("REFILE: /etc/KeyTable ", Dataset(Kind.REFILE, "/etc/KeyTable")),
        ("csl:a=b,c=d", Dataset(Kind.LIST, "a=b,c=d")),
        ("csl:a=b.db", Dataset(Kind.LIST, "a=b.db")),
    ],
)
def test_datasets(text: str, expected: Dataset) -> None:
    assert parse_dataset(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("db:/etc/KeyTable", "db: (a Berkeley database) is not supported: write the rows to a text file"),
        ("/etc/KeyTable.db", "a Berkeley database (.db) is not supported"),
        ("dsn:mysql://u:p@3306+h/d/table=t?keycol=k?datacol=v", "dsn: (an SQL database) is not supported"),
        ("ldap://host/base", "ldap: (an LDAP directory) is not supported"),
        ("LUA:/etc/x.lua", "lua: (a Lua script) is not supported"),
        ("memcache:localhost/x", "memcache: "),
        ("erlang:a@b:c:d:e", "erlang: "),
        ("mdb:/etc/x", "mdb: "),
        ("refile:", "a file name is missing"),
        ("", "a file name is missing"),
    ],
)
def test_what_is_not_supported(text: str, expected: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        parse_dataset(text)
    assert expected in str(caught.value)


def test_lines() -> None:
    text = "# comment\n\nkey value # more\r\n  indented\tvalue with  spaces  \nbare\n\x0b\nlast v"
    assert list(parse_lines(text)) == [
        Row(3, "key", "value"),
        Row(4, "indented", "value with  spaces"),
        Row(5, "bare", ""),
        Row(7, "last", "v"),
    ]


def test_a_list() -> None:
    assert list(rows(Dataset(Kind.LIST, "a=b:c, d = e=f ,,g"), "")) == [
        Row(0, "a", "b:c"),
        Row(0, "d", "e=f"),
        Row(0, "g", ""),
    ]


@given(st.text())
@settings(max_examples=200)
def test_any_text_gives_rows_in_order(text: str) -> None:
    found = list(parse_lines(text))
    assert [row.line for row in found] == sorted({row.line for row in found})
    assert all(row.key and "#" not in row.key + row.value for row in found)
