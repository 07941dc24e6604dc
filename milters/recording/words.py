"""The names that a session file uses: those of libmilter's ``mfdef.h``, without their prefixes.

Beside what our own engines speak, all that other milters may say has a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gatepost.recording.events import Side
from milters import mfdef


def _named(prefix: str) -> dict[str, int]:
    return {
        name.removeprefix(prefix): value for name, value in vars(mfdef).items() if name.startswith(prefix)
    }


COMMANDS: Mapping[Side, Mapping[str, int]] = {
    Side.MTA: _named("SMFIC_"),
    Side.DAEMON: _named("SMFIR_")
    | {
        "OPTNEG": mfdef.SMFIC_OPTNEG,
        "ADDRCPT": ord("+"),
        "ADDRCPT_PAR": ord("2"),
        "CHGFROM": ord("e"),
        "CONN_FAIL": ord("f"),
        "DELRCPT": ord("-"),
        "REPLBODY": ord("b"),
        "SHUTDOWN": ord("4"),
    },
}
"""Commands and replies by name."""

COMMAND_NAMES: Mapping[Side, Mapping[int, str]] = {
    side: {value: name for name, value in names.items()} for side, names in COMMANDS.items()
}

ACTIONS: Mapping[str, int] = _named("SMFIF_") | {
    "CHGBODY": 0x002,
    "ADDRCPT": 0x004,
    "DELRCPT": 0x008,
    "CHGFROM": 0x040,
    "ADDRCPT_PAR": 0x080,
}
"""What a milter may do, by name: single bits."""

STEPS: Mapping[str, int] = _named("SMFIP_")
"""What is left out or not answered, by name: single bits."""

STAGES: Mapping[str, int] = _named("SMFIM_")
"""The stages for which macros can be asked."""
STAGE_NAMES: Mapping[int, str] = {value: name for name, value in STAGES.items()}

FAMILIES: Mapping[str, int] = {
    "inet": mfdef.SMFIA_INET,
    "inet6": mfdef.SMFIA_INET6,
    "unix": mfdef.SMFIA_UNIX,
    "unknown": mfdef.SMFIA_UNKNOWN,
}
"""Address families of a client."""
FAMILY_NAMES: Mapping[int, str] = {value: name for name, value in FAMILIES.items()}


def flags(bits: int, names: Mapping[str, int]) -> list[str]:
    """The set *bits* by name, lowest first; one that has no name as its hexadecimal value."""
    by_value = {value: name for name, value in names.items()}
    return [by_value.get(1 << place, hex(1 << place)) for place in range(32) if bits >> place & 1]


def bits(words: Iterable[str], names: Mapping[str, int]) -> int:
    """The reverse of ``flags``. Raises ValueError for a word that is none of *names*."""
    found = 0
    for word in words:
        if word in names:
            found |= names[word]
        elif word.startswith("0x"):
            found |= int(word, 16)
        else:
            raise ValueError(f"no such flag: {word}")
    return found
