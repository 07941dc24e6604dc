"""The man pages say what the program does, and nothing in them is taken for a request."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from gatepost.cli.syntax import commands, walk
from gatepost.config.settings import KINDS, Config
from script.manpages.pages import DAEMONS, TARGET, pages
from script.manpages.troff import body, inline, plain
from tests.harness.units import NAMES

_REQUESTS = {"TH", "SH", "SS", "PP", "TP", "IP", "RS", "RE", "EX", "EE", "br"}
_ESCAPES = re.compile(r"\\(?:-|e|&|f[BIP]|\((?:aq|ha|ti|ga|sc|en|bu|mu|->)|\[u[0-9A-F]{4,6}\])")


def shown(troff: str) -> str:
    """The words of a page, without requests and escapes."""
    text = re.sub(r"\\f[BIP]|\\&", "", troff)
    return text.replace(r"\-", "-").replace(r"\(aq", "'").replace(r"\e", "\\")


def test_the_pages_are_up_to_date() -> None:
    there = {str(file.relative_to(TARGET)): file.read_text() for file in TARGET.glob("man?/*")}
    assert there == pages(), "run python -m script.manpages"


def test_every_command_and_option_is_there() -> None:
    text = shown(pages()["man1/gatepost.1"])
    for words, command in walk(commands()):
        assert f"gatepost {words}" in text
        for option in command.options:
            assert option.flags[-1] in text, f"{words} {option.flags[-1]}"


def test_every_setting_is_there() -> None:
    everything, by_daemon = shown(pages()["man5/gatepost.yaml.5"]), pages()
    models: list[type[BaseModel]] = [Config, *KINDS.values()]
    for model in models:
        for name in model.model_fields:
            assert re.search(rf"\b{name}\b", everything), name
    for name in NAMES:
        kind = name if name in KINDS else "dmarc"
        page = shown(by_daemon[f"man8/gatepost-{name}.8"])
        assert f"kind: {kind}" in page


def test_every_daemon_has_a_page() -> None:
    assert set(DAEMONS) == set(NAMES)


@pytest.mark.parametrize("name", sorted(pages()))
def test_a_page_is_sound(name: str) -> None:
    """No unknown request or escape, nothing left to be filled in, and references to pages that there are."""
    text = pages()[name]
    assert text.isascii()
    assert not re.search(r"@[a-z]+@", text)
    for line in text.splitlines():
        if line.startswith("."):
            assert line.split()[0][1:] in _REQUESTS, line
        assert not line.startswith("'"), line
        assert "\\" not in _ESCAPES.sub("", line), line
    ours = {f"{Path(each).stem}({Path(each).suffix[1:]})" for each in pages()}
    assert set(re.findall(r"gatepost[a-z.-]*\(\d\)", shown(text))) <= ours


@pytest.mark.parametrize(
    ("markdown", "troff"),
    [
        ("## Files\n", ".SH FILES\n"),
        ("### gatepost run\n", ".SS gatepost run\n"),
        ("#### more\n", ".PP\n\\fBmore\\fP\n"),
        ("one\ntwo\n", ".PP\none two\n"),
        ("a `b-c` **d** *e* [f](g.md)\n", ".PP\na \\fBb\\-c\\fP \\fBd\\fP \\fIe\\fP f\n"),
        ("2 * 3 * 4\n", ".PP\n2 * 3 * 4\n"),
        (".so /etc/passwd\n", ".PP\n\\&.so /etc/passwd\n"),
        ("'tis\n", ".PP\n\\(aqtis\n"),
        ("    $ a\\b\n\n    .c\n", ".PP\n.RS 4\n.EX\n$ a\\eb\n\n\\&.c\n.EE\n.RE\n"),
        ("```sh\na -b\n```\n", ".PP\n.RS 4\n.EX\na \\-b\n.EE\n.RE\n"),
        ("- one\n  more\n- two\n", ".IP \\(bu 2\none more\n.IP \\(bu 2\ntwo\n"),
        ("| a | meaning |\n| --- | --- |\n| `x\\|y` | is |\n", ".TP\n\\fBx|y\\fP\nis\n"),
        (
            "| option | type | default | meaning | example |\n|-|-|-|-|-|\n| `t` | time | `5s` | wait | |\n",
            ".TP\n\\fBt\\fP (type: time, default: \\fB5s\\fP)\nwait\n",
        ),
        (
            "| option | meaning | example |\n|-|-|-|\n| `t` | wait | `3s` |\n",
            ".TP\n\\fBt\\fP\nwait\n.br\nExample: \\fB3s\\fP\n",
        ),
        ("…§\N{LATIN SMALL LETTER E WITH DIAERESIS}\n", ".PP\n\\&...\\(sc\\[u00EB]\n"),
    ],
)
def test_markdown_becomes_troff(markdown: str, troff: str) -> None:
    assert body(markdown) == troff


@given(st.text(st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(" .'\\-`*[]()")))
def test_no_text_is_taken_for_a_request(text: str) -> None:
    for made in (plain(text), inline(text)):
        assert made.isascii()
        assert not made.startswith((".", "'")), made
        assert "\\" not in _ESCAPES.sub("", made), made
