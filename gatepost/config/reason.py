"""The text with which mail is refused: the operator's, with what is known in it."""

from __future__ import annotations

import re
from collections.abc import Mapping

PLACEHOLDERS = ("domain", "explanation", "helo", "identity", "ip", "result", "sender")

_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")
_PRINTABLE = re.compile(r"[ -~]+")


class Reason:
    """A template: text with PLACEHOLDERS in braces. Raises ValueError for one that is no template."""

    __slots__ = ("_template",)

    def __init__(self, template: str) -> None:
        if not _PRINTABLE.fullmatch(template):
            raise ValueError("a reason is one line of printable ASCII")
        unknown = set(_PLACEHOLDER.findall(template)) - set(PLACEHOLDERS)
        if unknown or re.search(r"[{}]", _PLACEHOLDER.sub("", template)):
            raise ValueError(f"a reason cannot hold {{{min(unknown)}}}" if unknown else "a brace too many")
        self._template = template

    def __str__(self) -> str:
        return self._template

    def fill(self, values: Mapping[str, str]) -> str:
        """Give the text with *values* put in, as they are: who sends it out makes sure of what it holds."""
        return _PLACEHOLDER.sub(lambda match: values[match[1]], self._template)
