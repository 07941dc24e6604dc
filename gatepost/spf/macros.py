"""Macros in SPF records and explanations (RFC 7208 §7).

Expansion is done here and not by pyspf: its own takes quadratic time, cuts
the beginning off long explanations, and cuts only one label off long names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

LONGEST_NAME = 253
"""Octets of a domain name; of a longer one, labels are removed from the left (§7.3)."""

MAX_EXPANSION = 8192
"""Characters that a text may expand to."""

_MACRO = re.compile(
    r"%(?:(?P<plain>[%_-])|\{(?P<letter>[a-z])(?P<digits>[0-9]*)(?P<reverse>r?)(?P<delimiters>[.+,/_=-]*)\})?",
    re.IGNORECASE,
)
_PLAIN = {"%": "%", "_": " ", "-": "%20"}
_LETTERS = frozenset("slodipvh")
_EXPLANATION_LETTERS = _LETTERS | frozenset("crt")
_INVISIBLE = re.compile(r"[^!-~]")
_MACRO_AT_END = re.compile(r"%(?:[%_-]|\{[^{}]*\})\Z")
# toplabel (§7.1): not all digits, and no hyphen at either end.
_TOP_LABEL = re.compile(r"(?![0-9]+\Z)[0-9a-z](?:[0-9a-z-]*[0-9a-z])?", re.IGNORECASE)
_LONGEST_LABEL = 63


class MacroError(ValueError):
    """The text breaks the grammar of RFC 7208 §7.1, or expands to too much. The message says how."""


def expand_domain(spec: str, value: Callable[[str], str]) -> str:
    """Expand a domain-spec. *value* gives what a macro letter (lower case) stands for.

    Gives a name without a final dot, of at most LONGEST_NAME characters, which
    need not be one that the DNS can carry. Raises :class:`MacroError`.
    """
    if _INVISIBLE.search(spec):
        raise MacroError("a character that cannot stand in a record")
    if not _ends_well(spec):
        raise MacroError("not a fully qualified domain name")
    name = _expand(spec, value, _LETTERS).removesuffix(".") if "%" in spec else spec.removesuffix(".")
    if len(name) > LONGEST_NAME:
        cut = name.find(".", len(name) - LONGEST_NAME - 1)
        name = name[cut + 1 :] if cut >= 0 else name
    return name


def check_syntax(text: str) -> None:
    """Check the value of an unknown modifier (§6). Raises :class:`MacroError`."""
    if _INVISIBLE.search(text):
        raise MacroError("a character that cannot stand in a record")
    if "%" in text:
        _expand(text, str, _LETTERS)


def expand_explanation(text: str, value: Callable[[str], str]) -> str:
    """Expand an explain-string (§6.2). Raises :class:`MacroError`."""
    return _expand(text, value, _EXPLANATION_LETTERS)


def _ends_well(spec: str) -> bool:
    """Whether *spec* ends in a macro, or in a dot and a toplabel."""
    if _MACRO_AT_END.search(spec, max(0, len(spec) - 100)):
        return True
    _, dot, top = spec.removesuffix(".").rpartition(".")
    return bool(dot) and len(top) <= _LONGEST_LABEL and _TOP_LABEL.fullmatch(top) is not None


def _expand(text: str, value: Callable[[str], str], letters: frozenset[str]) -> str:
    parts: list[str] = []
    length = position = 0
    for macro in _MACRO.finditer(text):
        expansion = _expansion(macro, value, letters)
        length += macro.start() - position + len(expansion)
        if length > MAX_EXPANSION:
            raise MacroError(f"expands to more than {MAX_EXPANSION} characters")
        parts += (text[position : macro.start()], expansion)
        position = macro.end()
    parts.append(text[position:])
    return "".join(parts)


def _expansion(macro: re.Match[str], value: Callable[[str], str], letters: frozenset[str]) -> str:
    plain, letter = macro["plain"], macro["letter"]
    if plain is not None:
        return _PLAIN[plain]
    if letter is None:
        raise MacroError("a % that begins no macro")
    if letter.lower() not in letters:
        raise MacroError(f"no macro %{{{letter}}} is allowed here")
    digits = macro["digits"].lstrip("0")
    if macro["digits"] and not digits:
        raise MacroError("a macro that keeps no part of its value")
    text = value(letter.lower())
    if digits or macro["reverse"] or macro["delimiters"]:
        text = _transformed(text, digits, bool(macro["reverse"]), macro["delimiters"])
    if letter.isupper():
        text = quote(text, safe="", errors="surrogateescape")
    return text


def _transformed(text: str, digits: str, reverse: bool, delimiters: str) -> str:
    # The set: a record can name the same delimiter thousands of times.
    delimiters = "".join(sorted(set(delimiters))) or "."
    parts = re.split(f"[{re.escape(delimiters)}]", text)
    if reverse:
        parts.reverse()
    if digits and len(digits) < 4:  # no value has a thousand parts
        parts = parts[-int(digits) :]
    return ".".join(parts)
