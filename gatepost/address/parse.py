"""The strict reader of From and Sender fields: mailbox-list (RFC 5322 §3.4), with UTF-8 (RFC 6532).

A policy is worth nothing if it is applied to another address than the one a
mail program shows. So what two readers could take in two ways is no address
here. Of the obsolete syntax (RFC 5322 §4.4) only the unquoted dot in a display
name is read ("John Q. Public"); source routes, white space or comments around
the dots of an address, and empty list elements are not. Groups (RFC 6854),
address literals (they have no domain), NUL and other controls, octets that are
not UTF-8, and encoded words in a local part are refused too.

Careless programs leave out the quotes of a display name (``Doe, J <j@example.org>``,
``j@example.org <j@example.org>``). Where readers may differ about the name, but
not about the domain, :func:`authors` takes it: the policy is the domain's.

Time is linear in the length of the field.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from gatepost.address.grammar import ATEXT, CFWS, COMMENT, QUOTED, WSP
from gatepost.address.mailbox import (
    BadSyntax,
    Mailbox,
    NoAuthor,
    SeveralDomains,
    SeveralFields,
)
from gatepost.domains import InvalidNameError, to_ascii

MAX_LENGTH = 32 * 1024
"""Octets of a field's value; a longer one is BadSyntax."""

MAX_MAILBOXES = 100
"""Mailboxes in one field; more are BadSyntax."""

_FOLD = re.compile(r"\r?\n(?=[ \t])")
# C0 without tab, DEL, C1, and what Unicode calls line and paragraph separators.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")

_UTF8_ATEXT = rf"{ATEXT}\u00a0-\U0010ffff"
_WORD = re.compile(rf"[{_UTF8_ATEXT}.]++|{QUOTED}", re.DOTALL)
_CFWS = re.compile(CFWS, re.DOTALL)
_LAST_COMMENT = re.compile(rf"(?:{WSP}++|({COMMENT}))*", re.DOTALL)
_DOT_ATOM = re.compile(rf"[{_UTF8_ATEXT}]++(?:\.[{_UTF8_ATEXT}]++)*")
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
# ASCII that may not stand unquoted in a local part.
_SPECIALS = re.compile(rf"[\x00-\x7f](?<![{ATEXT}.])")

# A display name without its quotes, and the one angle-addr behind it. What is in quotes or comments is as usual.
_UNQUOTED_NAME = re.compile(rf"(?:[^\"()<>:;\\]|{QUOTED}|{COMMENT})*+(?=<[^<>]*+>[^<>]*+\Z)", re.DOTALL)
_NAMED_DOMAIN = re.compile(rf"@{WSP}*+([^\s\"()<>@,]*+)")

# What nearly all mail has: a plain display name, or none, and a plain address in angle brackets.
# A subset of what _mailbox reads.
_PLAIN = re.compile(
    rf"{WSP}*+(?:([{ATEXT}]++[{ATEXT} ]*+)?<|\"([^\"\\\x00-\x1f\x7f-\U0010ffff]*+)\" *+<)"
    rf"([{ATEXT}]++(?:\.[{ATEXT}]++)*)@([A-Za-z0-9.-]++)>{WSP}*+"
)

_WHAT_STANDS_THERE = {
    "": "the field ends where an address should follow",
    ",": "an element of the list has no address",
    ":": "a group or a source route, not a mailbox",
    ";": "a stray semicolon",
    "<": "a stray '<'",
    ">": "a stray '>'",
    "@": "an address without a local part",
    "(": "a comment without end, or nested too deeply",
    ")": "a stray ')'",
    '"': "a quoted string without end",
    "[": "a stray '['",
    "]": "a stray ']'",
    "\\": "a stray backslash",
}


def parse_mailboxes(value: bytes) -> list[Mailbox]:
    """Read the value of a From or Sender field, as it came (folds included). At least one mailbox.

    Raises :class:`BadSyntax` for everything that is not a mailbox-list.
    """
    text = _text(value)
    plain = _PLAIN.fullmatch(text)
    if plain is not None and "=?" not in plain[3]:
        return [Mailbox(plain[3], _domain(plain[4]), plain[2] or _squeezed(plain[1] or ""))]
    mailboxes = []
    position = 0
    while True:
        mailbox, position = _mailbox(text, position)
        mailboxes.append(mailbox)
        if position == len(text):
            return mailboxes
        if text[position] != ",":
            raise BadSyntax(f"text after an address: {_stands_there(text, position)}")
        if len(mailboxes) == MAX_MAILBOXES:
            raise BadSyntax(f"more than {MAX_MAILBOXES} addresses")
        position += 1


def authors(values: Sequence[bytes]) -> list[Mailbox]:
    """Give the authors of a message whose From fields have these *values*: at least one, all of one domain.

    There must be exactly one field. Its domain is the Author Domain (RFC 9989
    §5.3.1). A display name may lack its quotes as long as every domain that it
    names is the address's own. Raises :class:`NoAuthor`, :class:`SeveralFields`,
    :class:`SeveralDomains` or :class:`BadSyntax`.
    """
    if not values:
        raise NoAuthor("no From field")
    if len(values) > 1:
        raise SeveralFields(f"{len(values)} From fields")
    try:
        mailboxes = parse_mailboxes(values[0])
    except BadSyntax:
        mailbox = _carelessly_named(values[0])
        if mailbox is None:
            raise
        return [mailbox]
    if any(mailbox.domain != mailboxes[0].domain for mailbox in mailboxes):
        raise SeveralDomains(mailboxes)
    return mailboxes


def _carelessly_named(value: bytes) -> Mailbox | None:
    """Read an address in angle brackets behind a display name that lacks its quotes, or is in an unknown charset."""
    try:
        text = _text(value, errors="replace")
        name = _UNQUOTED_NAME.match(text)
        if name is None or "\ufffd" in text[name.end() :]:
            return None
        mailbox, end = _angle_address(text, name.end() + 1, _squeezed(name[0]))
        named = all(said and _domain(said) == mailbox.domain for said in _NAMED_DOMAIN.findall(name[0]))
    except BadSyntax:
        return None
    return mailbox if named and end == len(text) else None


def _text(value: bytes, errors: str = "strict") -> str:
    """Unfold and decode."""
    if len(value) > MAX_LENGTH:
        raise BadSyntax(f"longer than {MAX_LENGTH} octets")
    try:
        text = value.decode(errors=errors)
    except UnicodeDecodeError:
        raise BadSyntax("octets that are not UTF-8") from None
    if "\n" in text:
        text = _FOLD.sub("", text)
    if not text.isprintable() and _CONTROL.search(text):
        raise BadSyntax("control characters")
    return text


def _mailbox(text: str, position: int) -> tuple[Mailbox, int]:
    """Read one mailbox and the CFWS around it: name-addr or addr-spec."""
    position = _after_cfws(text, position)
    start = position
    words: list[str] = []
    while word := _WORD.match(text, position):
        words.append(word[0])
        position = _after_cfws(text, word.end())
    what = text[position : position + 1]
    if what == "<":
        if words and words[0][0] == ".":
            raise BadSyntax("a display name that begins with a dot")
        display = words[0] if len(words) == 1 else " ".join(words)
        return _angle_address(text, position + 1, _unquoted(display) if len(words) == 1 else display)
    if what != "@" or not words:
        if words and what in ("", ","):
            raise BadSyntax("a name without an address")
        raise BadSyntax(_stands_there(text, position))
    if len(words) > 1:
        raise BadSyntax("white space in an address, or a display name that is not quoted")
    local_part = _local_part(text[start : start + len(words[0])])
    domain, position = _domain_at(text, position + 1)
    display = ""
    # addr-spec (name): the older way of giving a name (RFC 5322 §3.4, last paragraph).
    if (comment := _LAST_COMMENT.match(text, position)) is not None:
        display = _QUOTED_PAIR.sub(r"\1", comment[1][1:-1]) if comment[1] else ""
        position = comment.end()
    return Mailbox(local_part, domain, display), position


def _angle_address(text: str, position: int, display: str) -> tuple[Mailbox, int]:
    """Read an angle-addr from behind its '<' on."""
    position = _after_cfws(text, position)
    word = _WORD.match(text, position)
    if word is None:
        if text[position : position + 1] == "@":
            raise BadSyntax("a source route, or an address without a local part")
        raise BadSyntax(_stands_there(text, position))
    position = _after_cfws(text, word.end())
    if text[position : position + 1] != "@":
        raise BadSyntax(f"no '@' in an address: {_stands_there(text, position)}")
    local_part = _local_part(word[0])
    domain, position = _domain_at(text, position + 1)
    position = _after_cfws(text, position)
    if text[position : position + 1] != ">":
        raise BadSyntax(f"no '>' behind an address: {_stands_there(text, position)}")
    return Mailbox(local_part, domain, display), _after_cfws(text, position + 1)


def _after_cfws(text: str, position: int) -> int:
    match = _CFWS.match(text, position)
    return match.end() if match is not None else position


def _local_part(word: str) -> str:
    """Check one word in front of an '@', and give what it means."""
    if word[0] == '"':
        local_part = _unquoted(word)
    elif _DOT_ATOM.fullmatch(word) is None:
        raise BadSyntax("misplaced dots in a local part")
    else:
        local_part = word
    if "=?" in local_part and "?=" in local_part:
        # RFC 2047 §5 forbids it, and some readers decode it all the same, quoted or not.
        raise BadSyntax("an encoded word in a local part")
    if not local_part.isascii():
        # A reader that normalises would find other characters, such as another "@" in U+FF20.
        normalised = unicodedata.normalize("NFKC", "".join(c for c in local_part if not c.isascii()))
        if not local_part.isprintable() or _SPECIALS.search(normalised):
            raise BadSyntax("a character in a local part that could be read as another one")
    return local_part


def _domain_at(text: str, position: int) -> tuple[str, int]:
    """Read the domain of an addr-spec from behind the '@' on."""
    position = _after_cfws(text, position)
    word = _DOT_ATOM.match(text, position)
    if word is None:
        if text[position : position + 1] == "[":
            raise BadSyntax("an address literal, which has no domain")
        raise BadSyntax(f"no domain behind '@': {_stands_there(text, position)}")
    return _domain(word[0]), word.end()


def _domain(name: str) -> str:
    if name[-1] == ".":
        raise BadSyntax("a domain that ends in a dot")
    try:
        return to_ascii(name)
    except InvalidNameError as error:
        raise BadSyntax(f"bad domain: {error}") from None


def _unquoted(word: str) -> str:
    """Take the quotes and backslashes from a quoted string; leave an atom alone."""
    if word[:1] != '"':
        return word
    inner = word[1:-1]
    return _QUOTED_PAIR.sub(r"\1", inner) if "\\" in inner else inner


def _squeezed(phrase: str) -> str:
    return " ".join(phrase.split())


def _stands_there(text: str, position: int) -> str:
    return _WHAT_STANDS_THERE.get(text[position : position + 1], "text that belongs to no address")
