"""What the pages name exists: commands, options, metrics, files; what they show as configuration loads."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import yaml
from pydantic import BaseModel

from gatepost.authres.read import read
from gatepost.cli import COMMANDS, parser_of
from gatepost.cli.syntax import commands, walk
from gatepost.config.dkim_settings import SigningKeyEntry
from gatepost.config.greylist_settings import GreylistAllow
from gatepost.config.sections import Dns, Limits, Log
from gatepost.config.settings import KINDS, Config
from gatepost.config.spf_settings import Allow
from gatepost.importing.take_over import PEERS
from tests.unit.docs.fragments import loaded
from tests.unit.docs.log_lines import events
from tests.unit.docs.pages import (
    DOCS,
    GENERATED,
    PAGES,
    ROOT,
    Block,
    all_blocks,
    blocks,
    indented,
    links,
    name_of,
    prose,
    words,
)

LANGUAGES = {
    "console",  # run by test_howto.py, and compared
    "sh",  # cannot be run here; its gatepost commands are parsed
    "yaml",  # a piece of gatepost.yaml: loaded
    "main.cf",  # read by postconf
    "master.cf",  # the same
    "log",  # our own lines: tests/e2e/test_troubleshooting.py makes each happen
    "header",  # of a message: tests/e2e/test_tutorial.py
    "smtp",  # a dialogue: the same
    "ini",  # a unit of systemd
    "text",  # of others
    "python",
}
POSTFIX_PARAMETERS = set((Path(__file__).parent / "postfix-parameters.txt").read_text().split())
"""Parameters of Postfix that the pages name; tests/e2e/test_docs.py asks a Postfix for them."""

OTHERS = set((Path(__file__).parent / "others-words.txt").read_text().split())
"""Words of other programs, and of files, that have an underscore in them too."""

PLACE = re.compile(r"([\w/.-]+\.py)::?(\w+)")
"""Something in a file: a test, or what it tests."""

SECTIONS: dict[str, type[BaseModel]] = {"dns": Dns, "log": Log, "limits": Limits}

OWN = [page for page in PAGES if page.name not in GENERATED]


@cache
def options() -> set[str]:
    models: list[type[BaseModel]] = [
        Config,
        Dns,
        Log,
        Limits,
        SigningKeyEntry,
        Allow,
        GreylistAllow,
        *KINDS.values(),
    ]
    return {name for model in models for name in model.model_fields}


@cache
def words_of_values() -> set[str]:
    """The words that options can have as values, and those of greylist's log."""
    literals = re.findall(r'"([a-z_]+)"', (ROOT / "policy" / "greylist.py").read_text())
    hints = [hint for model in KINDS.values() for hint in get_type_hints(model).values()]
    return set(literals) | {value for hint in hints for value in literal_values(hint)}


def literal_values(hint: Any) -> set[str]:
    if get_origin(hint) is Literal:
        return set(map(str, get_args(hint)))
    return {value for inner in get_args(hint) for value in literal_values(inner)}


@cache
def log_fields() -> set[str]:
    table = set(re.findall(r"(?m)^\| `(\w+)` \|", (DOCS / "log.md").read_text()))
    return table | {field for line in events() for field in line.fields}


@cache
def metrics() -> set[str]:
    told = re.findall(r"(?m)^\| `(\w+)(?:\{([\w,]+)\})?` \|", (DOCS / "metrics.md").read_text())
    names = {name for name, _ in told}
    return (
        names
        | {label for _, labels in told for label in labels.split(",") if label}
        | {f"{name}_{suffix}" for name in names for suffix in ("bucket", "count", "sum")}
    )


@cache
def peers() -> set[str]:
    return {known.name for catalogue in PEERS.values() for known in catalogue}


def test_there_are_pages() -> None:
    assert len(PAGES) > 30


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        if ":" in path:
            continue
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as both the site and the usual forges make them."""
    titles = re.findall(r"(?m)^#+ (.+)$", prose(page))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", OWN, ids=name_of)
def test_code_says_what_it_is(page: Path) -> None:
    if page.name != "README.md":  # shown where nothing is coloured
        assert indented(page) == []
    for block in blocks(page):
        assert block.language in LANGUAGES, block


@pytest.mark.parametrize("block", all_blocks("yaml"), ids=str)
def test_configuration_loads(block: Block) -> None:
    loaded(block.text)


@pytest.mark.parametrize("block", all_blocks("sh"), ids=str)
def test_commands_can_be_given(block: Block) -> None:
    done = subprocess.run(["sh", "-n"], input=block.text, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    for command in gatepost_commands(block.text.replace("\\\n", " ")):
        parsed(command)


def test_the_readme_s_commands_can_be_given() -> None:
    called = [
        command
        for block in indented(ROOT / "README.md")
        for line in block.splitlines()
        if "gatepost " in line
        for command in gatepost_commands(line)
    ]
    assert called
    for command in called:
        parsed(command)


def gatepost_commands(text: str) -> list[list[str]]:
    """The calls of gatepost in lines of shell, each as its arguments."""
    lexer = shlex.shlex(re.sub(r"(?m)(?:^|\s)#.*$", "", text), posix=True, punctuation_chars="|&;<>()\n")
    lexer.whitespace = " \t"
    lexer.whitespace_split = True
    found: list[list[str]] = []
    current: list[str] | None = None
    for word in lexer:
        if set(word) <= set("|&;<>()\n"):
            current = None
        elif word.rpartition("/")[2] == "gatepost" and current is None:
            current = []
            found.append(current)
        elif current is not None:
            current.append(word)
    # `mkdir /etc/gatepost` and the like are not calls.
    return [each for each in found if each and (each[0] in COMMANDS or each[0].startswith("--"))]


def parsed(arguments: list[str]) -> None:
    """Give *arguments* to the command's own parser."""
    if arguments[0].startswith("--"):
        assert arguments[0] in ("--help", "--version")
        return
    try:
        parser_of(arguments[0]).parse_args(arguments[1:])
    except SystemExit as end:
        assert end.code == 0, f"gatepost {' '.join(arguments)}"  # noqa: PT017


def test_a_command_that_does_not_exist_is_found() -> None:
    assert gatepost_commands("sudo /opt/gatepost/bin/gatepost check --postfix > x; gatepost dns a") == [
        ["check", "--postfix"],
        ["dns", "a"],
    ]
    with pytest.raises(AssertionError):
        parsed(["check", "--postfx"])


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_that_are_named_exist(page: Path) -> None:
    known = dict(walk(commands()))
    for word in words(page):
        if not word.startswith("gatepost ") or word.startswith(("gatepost COMMAND", "gatepost --")):
            continue
        name, *rest = re.sub(r"[…]", "", word).split()[1:]
        assert name in COMMANDS, word
        command = known[name]
        if command.actions and rest and rest[0] in [each.name for each in command.actions]:
            command = known[f"{name} {rest[0]}"]
        flags = {flag for option in command.options for flag in option.flags}
        assert {each for each in rest if each.startswith("--")} <= flags, word


@pytest.mark.parametrize("page", OWN, ids=name_of)
def test_options_fields_and_metrics_that_are_named_exist(page: Path) -> None:
    known = options() | words_of_values() | log_fields() | metrics() | peers() | POSTFIX_PARAMETERS | OTHERS
    for word in words(page):
        if PLACE.fullmatch(word):
            continue
        for name in re.findall(r"(?<![\w./@{%-])[a-z]+(?:_[a-z0-9]+)+(?![\w./(@-])", word):
            assert name in known, word


@pytest.mark.parametrize("page", OWN, ids=name_of)
def test_values_that_are_named_can_be_given(page: Path) -> None:
    """An option with a value within a sentence is a piece of configuration too."""
    for word in words(page):
        match = re.match(r"([a-z_]+): ?\S", word)
        if (
            match
            and match[1] in options()
            and "…" not in word
            and not re.search(r"\b[A-Z]+\b|\{[a-z_.]+\}", word)
        ):
            loaded(word)
        # `dns: {message_timeout}` names an option of a section.
        section = re.fullmatch(r"(dns|log|limits): \{([a-z_]+)\}", word)
        if section:
            assert section[2] in SECTIONS[section[1]].model_fields, word


@pytest.mark.parametrize("page", OWN, ids=name_of)
def test_files_of_the_repository_that_are_named_exist(page: Path) -> None:
    for word in words(page):
        match = re.fullmatch(
            r"(?:docs|conf|systemd|script|tests|bench|gatepost|milters|policy)/[\w./*@-]*", word
        )
        if match and not re.search(r"[A-Z]{2,}", word):
            assert any(ROOT.glob(match[0].rstrip("/"))), word
        if place := PLACE.fullmatch(word):
            assert re.search(rf"\b{place[2]}\b", (ROOT / place[1]).read_text()), word


@pytest.mark.parametrize("page", OWN, ids=name_of)
def test_alerts_that_are_named_exist(page: Path) -> None:
    known = set(
        re.findall(r"alert: (\w+)", (ROOT / "conf" / "prometheus" / "gatepost.alerts.yml").read_text())
    )
    for word in words(page):
        assert set(re.findall(r"\bGatepost[A-Z]\w+", word)) <= known, word


def test_the_words_of_others_are_still_needed() -> None:
    text = "\n".join(page.read_text() for page in OWN)
    for word in OTHERS | POSTFIX_PARAMETERS:
        assert re.search(rf"\b{re.escape(word)}\b", text), word
    assert not OTHERS & (options() | words_of_values())


@pytest.mark.parametrize("block", all_blocks("header"), ids=str)
def test_fields_are_what_we_would_read(block: Block) -> None:
    """Authentication-Results in examples follow the grammar (RFC 8601 §2.2)."""
    for field in re.split(r"\n(?=\S)", block.text.strip()):
        name, _, value = field.partition(":")
        if name == "Authentication-Results":
            assert read(re.sub(r"…", "x", value).encode()).authserv_id == "mail.example.nl"


@pytest.mark.parametrize("block", all_blocks("text", "log"), ids=str)
def test_our_lines_have_the_fields_that_there_are(block: Block) -> None:
    lines = re.sub(r"\n +", " ", block.text).splitlines()
    for line in lines:
        if re.match(r"(NOQUEUE|[0-9A-Za-z]{6,14}): client=", line):
            keys = re.findall(r"(?:^|\s)([a-z_]+)=", re.sub(r'"[^"]*"', '""', line))
            assert set(keys) <= log_fields(), line


def test_our_own_modules_parse() -> None:
    for block in all_blocks("python"):
        ast.parse(block.text)


def test_the_shipped_files_name_options_that_exist() -> None:
    data = yaml.safe_load((ROOT / "conf" / "gatepost.yaml").read_text())
    commented = re.findall(r"(?m)^\s*#([a-z_]+):", (ROOT / "conf" / "gatepost.yaml").read_text())
    assert data
    assert set(commented) <= options()
