"""What is evaluated, and what it gives the macro letters to stand for (RFC 7208 §7.2)."""

from __future__ import annotations

from dataclasses import dataclass

from gatepost.networks import Address
from gatepost.spf.identity import Sender

PERSONAL = frozenset("slhrt")
"""Letters that may stand for something else in the next mail of the same client and domain."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is evaluated: the client, and whom it claims to send for.

    ``receiver`` (our own name) and ``now`` (seconds since 1970) are for the
    macros of explanations alone.
    """

    client: Address
    sender: Sender
    receiver: str = "unknown"
    now: float = 0.0

    def letter(self, letter: str) -> str:
        """What a macro letter (lower case) stands for: any but d and p, which change as records are followed."""
        sender = self.sender
        match letter:
            case "s":
                return f"{sender.local_part}@{sender.domain}"
            case "l":
                return sender.local_part
            case "o":
                return sender.domain
            case "i":
                return dotted(self.client)
            case "v":
                return "in-addr" if self.client.version == 4 else "ip6"
            case "h":
                return sender.helo
            case "c":
                return str(self.client)
            case "r":
                return self.receiver or "unknown"
            case "t":
                return str(int(self.now))
        raise KeyError(letter)


def dotted(client: Address) -> str:
    """The client's address as parts with dots between them, for macros and names in the DNS."""
    if client.version == 4:
        return str(client)
    return ".".join(client.exploded.replace(":", "").upper())
