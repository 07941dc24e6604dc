"""docs/replies.md has every reply that the code can give, and docs/protocol.md what the daemons ask for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from policy.handler import Request
from script import protocol

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "replies.md").read_text()
HOLE = "<>"
CODED = re.compile(r"(?:[45]\d\d|DEFER_IF_PERMIT) [45]\.\d+\.\d+ ")


def text_of(node: ast.expr) -> str:
    """What an expression gives: text, with a hole for whatever is put in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(
            HOLE if isinstance(each, ast.FormattedValue) else text_of(each) for each in node.values
        )
    return HOLE


def replies() -> Iterator[str]:
    """Every reply in the code, without the class of its enhanced code where an option decides that."""
    for path in [*(ROOT / "milters").glob("*.py"), *(ROOT / "policy").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                arguments = [text_of(each) for each in node.args]
                if node.func.id == "refusal" and arguments[1:]:
                    yield f".{arguments[1]} {arguments[2]}"
                elif node.func.id == "Reply" and HOLE not in arguments[1][1:] and arguments[0].isdigit():
                    yield " ".join(arguments)
            elif isinstance(node, (ast.Constant, ast.JoinedStr)):
                text = text_of(node)
                # With a space behind it, it is the beginning of one with a hole.
                if CODED.match(text) and not text.endswith(" "):
                    yield text


def test_every_reply_is_told_of_and_no_other() -> None:
    told = {re.sub(r"<\w+>", HOLE, reply) for reply in re.findall(r"(?m)^\| `([^`]+)` \|", PAGE)}
    # Codes or texts that stand in a variable: they are in the next test, and below the table.
    given = {*replies(), f"550 5.7.23 {HOLE}", f"550 5.7.24 {HOLE}"} - {f".7.1 {HOLE}"}
    given |= {f".7.1 DMARC policy of {HOLE} cannot be evaluated now"}
    reason = f".7.1 DMARC policy of {HOLE}"
    assert reason in given
    assert "`DMARC policy of <domain>`" in PAGE
    given.remove(reason)
    assert [reply for reply in given if not any(each.endswith(reply) for each in told)] == []
    assert [each for each in told if not any(each.endswith(reply) for reply in given)] == []


def test_a_text_in_a_variable() -> None:
    source = (ROOT / "milters" / "dmarc_action.py").read_text()
    assert 'text = f"DMARC policy of {evaluation.domain} cannot be evaluated now"' in source
    assert 'refusal("tempfail", "7.1", text)' in source


def test_both_of_spf_s_codes_are_told_of() -> None:
    source = (ROOT / "policy" / "spf_rules.py").read_text()
    codes = set(re.findall(r'"(5\.\d+\.\d+)"', source))
    assert codes == {"5.7.23", "5.7.24"}
    for code in codes:
        assert f"`550 {code} <reason>`" in PAGE


def test_the_page_of_the_protocol_is_up_to_date() -> None:
    assert protocol.TARGET.read_text() == protocol.page(), "run script/protocol.py"


def test_the_attributes_of_requests_are_those_that_are_read() -> None:
    read: set[str] = set()

    class Noting(dict[str, str]):
        def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
            read.add(name)
            return default

    request = Request(Noting())
    for name, member in vars(Request).items():
        if isinstance(member, property):
            getattr(request, name)
    rows = re.findall(r"(?m)^\| (`[a-z_`, ]+) \|", protocol.TAIL)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == read
