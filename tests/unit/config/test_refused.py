"""What is said about a configuration that cannot be used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.config.errors import ConfigError
from gatepost.config.load import parse, read
from tests.unit.config.hosts import HOST

VERIFY = "daemons:\n  dkim-verify:\n    socket: inet:8891@127.0.0.1\n"


def cases() -> Iterator[tuple[str, str, list[str]]]:
    """The cases of refused.txt: ``=== NAME``, the configuration, and ``==> `` before each line that is said."""
    data = (Path(__file__).parent / "refused.txt").read_text()
    for case in re.split("^=== ", data, flags=re.MULTILINE)[1:]:
        name, _, rest = case.partition("\n")
        text, _, said = rest.partition("==> ")
        yield name, text, said.rstrip("\n").split("\n==> ")


def said_about(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "gatepost.yaml", HOST)
    assert all(problem.line and problem.column for problem in caught.value.problems)
    return str(caught.value).split("\n")


@pytest.mark.parametrize(
    ("text", "said"), [pytest.param(text, said, id=name) for name, text, said in cases()]
)
def test_every_line_that_is_said(text: str, said: list[str]) -> None:
    assert said_about(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("user: a\x07b\n", r"1:8: the character \x07 cannot stand in a text file"),
        ("a: 1\r\nuser: \x1b[31m\r\n", r"2:7: the character \x1b cannot stand in a text file"),
        (VERIFY + '"a\\nb: \\e[31m": 1\n', r"4:1: a\nb: \x1b[31m: unknown key"),
        ("[" * 100_000, "1:33: nested too deeply"),
        ("- " * 100_000, "1:65: nested too deeply"),
        ("{a: " * 100_000, "1:129: nested too deeply"),
        (VERIFY + "x" * 200 + ": 1\n", f"4:1: {'x' * 57}...: unknown key"),
        (
            VERIFY + f"    workers: {'9' * 5000}\n",
            f'4:5: daemons.dkim-verify.workers: expected a whole number, not "{"9" * 57}..."',
        ),
    ],
)
def test_hostile_text_gives_one_short_line(text: str, said: str) -> None:
    assert said_about(text) == [f"gatepost.yaml:{said}"]


def test_a_host_without_a_usable_name_needs_an_authserv_id() -> None:
    host = HOST.__class__(name=lambda: "(none)")
    with pytest.raises(ConfigError) as caught:
        parse(VERIFY, "f", host)
    assert (
        str(caught.value) == 'f:1:1: authserv_id: expected a host name such as mail.example.nl, not "(none)"'
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"user: \xff\n", ":1:7: not UTF-8 from here on; save the file in that encoding"),
        (
            "# é\nuser: \xe9".encode() + b"\xe9",
            ":2:8: not UTF-8 from here on; save the file in that encoding",
        ),
        (b"\xef\xbb\xbf# \xff\n", ":1:3: not UTF-8 from here on; save the file in that encoding"),
        (VERIFY.encode("utf-16"), ":1:1: not UTF-8 from here on; save the file in that encoding"),
        (b"#" * (16 * 1024 * 1024 + 1), ": larger than 16 MB; that cannot be a configuration"),
    ],
    ids=["latin-1", "later", "after a mark", "utf-16", "large"],
)
def test_a_file_that_is_no_text(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "gatepost.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read(file)
    assert str(caught.value) == f"{file}{said}"


def test_a_file_that_is_none(tmp_path: Path) -> None:
    for path, said in [
        (tmp_path, "a directory; expected a file"),
        (tmp_path / "none", "there is no such file"),
        (Path("/etc/passwd/x"), "there is no such file"),
        (Path("a\0b"), "there is no such file"),
    ]:
        with pytest.raises(ConfigError) as caught:
            read(path)
        assert str(caught.value) == f"{path}: {said}"


def test_a_file_that_may_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigError, match=r"^/x: not readable for this user$"):
        read(Path("/x"))


WORDS = st.sampled_from(
    [
        *(
            "authserv_id",
            "trusted_networks",
            "dns",
            "nameservers",
            "timeout",
            "log",
            "level",
            "user",
            "limits",
        ),
        *("daemons", "dkim-verify", "dkim-sign", "border", "kind", "socket", "metrics", "workers", "engine"),
        *("keys", "domain", "selector", "file", "key_path", "canonicalization", "address", "mode", "group"),
        *(
            "libmilter",
            "packet",
            "relaxed/simple",
            "inet:8891@127.0.0.1",
            "unix:/run/x",
            "0660",
            "127.0.0.0/8",
        ),
        *("5s", "yes", "null", "<<"),
    ]
)
YAML_PIECES = st.sampled_from(
    [*"\n\n\n:-[]{},&*!|>'\"%@`#?~ \t\\", "  ", ": ", "- ", "\n  ", "---\n", "&a ", "*a "]
)


@given(st.lists(WORDS | YAML_PIECES | st.text(max_size=3), max_size=60).map("".join))
@settings(max_examples=300, deadline=None)
def test_no_text_raises_anything_else(text: str) -> None:
    said_or_accepted(text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)
DAEMONS = st.dictionaries(WORDS, st.dictionaries(WORDS, VALUES, max_size=5), max_size=3)


@given(st.dictionaries(WORDS, VALUES, max_size=4), DAEMONS)
@settings(max_examples=200, deadline=None)
def test_no_values_raise_anything_else(values: dict[str, object], daemons: dict[str, object]) -> None:
    said_or_accepted(yaml.safe_dump(values | {"daemons": daemons}))


def said_or_accepted(text: str) -> None:
    try:
        parse(text, "f", HOST)
    except ConfigError as error:
        for line in map(str, error.problems):
            assert line.isprintable()
            assert len(line) < 600
            # The words of whoever wrote the checks, not of whoever configures.
            assert not re.search(
                r"not valid here|pydantic|\b(str|int|dict|NoneType|input)\b", line.split('"')[0]
            )
