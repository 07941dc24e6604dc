"""The grammar of main.cf and master.cf below their meaning: logical lines, braces, lists (postconf(5), master(5))."""

from __future__ import annotations

from collections.abc import Iterator

_CLOSING = {"{": "}", "(": ")"}


def logical_lines(text: str) -> Iterator[str]:
    """The lines of *text* with their continuations (lines that begin with white space) joined; comments left out."""
    parts: list[str] = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0].isspace() and parts:
            parts.append(line.strip())
            continue
        if parts:
            yield " ".join(parts)
        parts = [line.strip()]
    if parts:
        yield " ".join(parts)


def balanced_end(text: str, start: int) -> int:
    """Where the bracket that opens at *start* has its other half; the end of *text* where it has none."""
    opening = text[start]
    closing = _CLOSING[opening]
    depth = 0
    for position in range(start, len(text)):
        if text[position] == opening:
            depth += 1
        elif text[position] == closing:
            depth -= 1
            if depth == 0:
                return position
    return len(text)


def words(text: str, separators: str = ", \t") -> list[str]:
    """Split a list at white space and commas; what stands in braces is one word, with its braces."""
    found = []
    position = 0
    while position < len(text):
        if text[position] in separators:
            position += 1
            continue
        end = position
        while end < len(text) and text[end] not in separators:
            end = balanced_end(text, end) + 1 if text[end] == "{" else end + 1
        found.append(text[position:end])
        position = end
    return found


def unbraced(word: str) -> str:
    """*word* without the braces around it, if there are any."""
    return word[1:-1].strip() if word.startswith("{") and word.endswith("}") else word


def assignment(text: str) -> tuple[str, str]:
    """``name = value`` as name and value, white space around both taken off; no "=" makes an empty value."""
    name, _, value = text.partition("=")
    return name.strip(), value.strip()
