"""What all sources of keys can do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from gatepost.config.errors import Problem
from gatepost.dkim.keys.keydata import PrivateKey
from gatepost.dkim.keys.keyfile import KeyFileError
from gatepost.dkim.signing_key import SigningKey


class Explanation(NamedTuple):
    """Whether a source has a rule for a sender, and one line that says which, or what was looked for.

    The line names files and options, never what the sender wrote.
    """

    matched: bool
    text: str


class NamedKey(NamedTuple):
    """A key that the configuration names, whoever the sender.

    ``domain`` is d=, "" for the sender's own; ``file`` is where the key lies,
    or the table that holds it. ``private`` is None where it cannot be read;
    ``problem`` then says why, in one line.
    """

    domain: str
    selector: str
    file: str
    private: PrivateKey | None
    problem: str = ""


class KeyPlace(NamedTuple):
    """Where a key lies, or should: d= ("" for the sender's own), s=, and the file."""

    domain: str
    selector: str
    file: str


class Source(Protocol):
    """One option's rules. Senders are a local part as it came, and a domain as A-labels in lower case."""

    def find(self, local_part: str, domain: str) -> Sequence[SigningKey]:
        """All keys for the sender, each pair of d= and s= once. Raises KeyUnavailableError."""

    def explain(self, local_part: str, domain: str) -> Explanation:
        """Which rule fits the sender, or why none does."""

    def places(self) -> Iterable[KeyPlace]:
        """Where every key lies that can be named beforehand. Reads none."""

    def named(self) -> Iterable[NamedKey]:
        """Every key that can be named beforehand, as check_all reads them."""

    def check_all(self) -> list[Problem]:
        """Read every key that can be named beforehand, and give what is wrong."""

    def watched_files(self) -> list[Path]:
        """The files that hold the rules; when one changes, the source has to be built again."""

    def refused_changes(self) -> list[KeyFileError]:
        """What is wrong with key files that have changed, and whose former key is still in use."""
