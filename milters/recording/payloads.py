"""What a packet holds, as words and octets: the parts of a line of a session file, and back.

``describe`` and ``build`` are each other's reverse for every payload: one that
is not what the protocol says comes as the word ``payload`` and its octets.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

from gatepost.recording.events import Side
from milters import mfdef
from milters.recording import words

Part = str | bytes
"""A bare word, or octets."""

_NUMBERS = struct.Struct("!III")
_NUMBER = struct.Struct("!I")
_PORT = struct.Struct("!H")
_MACRO_NAME = re.compile(r"[A-Za-z0-9_{}.-]+")
_OPTNEG = mfdef.SMFIC_OPTNEG
_REPLBODY = words.COMMANDS[Side.DAEMON]["REPLBODY"]

_INDEXED = frozenset({mfdef.SMFIR_INSHEADER, mfdef.SMFIR_CHGHEADER})
_STRINGS = frozenset(
    {
        mfdef.SMFIC_HELO,
        mfdef.SMFIC_MAIL,
        mfdef.SMFIC_RCPT,
        mfdef.SMFIC_HEADER,
        mfdef.SMFIC_UNKNOWN,
        mfdef.SMFIR_ADDHEADER,
        mfdef.SMFIR_QUARANTINE,
        mfdef.SMFIR_REPLYCODE,
        *(words.COMMANDS[Side.DAEMON][name] for name in ("ADDRCPT", "ADDRCPT_PAR", "CHGFROM", "DELRCPT")),
    }
)
_OCTETS = frozenset({mfdef.SMFIC_BODY, mfdef.SMFIC_BODYEOB, _REPLBODY})


def describe(command: int, payload: bytes) -> list[list[Part]]:
    """The parts of *payload*, in the lines in which they are best read. The first may be empty."""
    try:
        lines = _describe(command, payload)
        if build(command, [part for line in lines for part in line]) == payload:
            return lines
    except (ValueError, struct.error):
        pass  # not as the protocol has it
    return [["payload", payload]]


def build(command: int, parts: Sequence[Part]) -> bytes:
    """The payload that *parts* describe. Raises ValueError, with a line for a person."""
    if len(parts) == 2 and parts[0] == "payload" and isinstance(parts[1], bytes):
        return parts[1]
    try:
        return _build(command, parts)
    except (struct.error, OverflowError):
        raise ValueError("a number is out of its range") from None


def _describe(command: int, payload: bytes) -> list[list[Part]]:
    if command in _OCTETS:
        return [[], [payload]] if payload else [[]]
    if command in _STRINGS:
        return [list(_strings(payload))]
    if command in _INDEXED:
        (index,) = _NUMBER.unpack_from(payload)
        return [[str(index), *_strings(payload[_NUMBER.size :])]]
    if command == mfdef.SMFIC_MACRO:
        return [_macros(payload)]
    if command == mfdef.SMFIC_CONNECT:
        return [_connect(payload)]
    if command == _OPTNEG:
        return _negotiation(payload)
    if payload:
        raise ValueError("nothing expected")
    return [[]]


def _build(command: int, parts: Sequence[Part]) -> bytes:
    if command in _OCTETS:
        return b"".join(_octets(part) for part in parts)
    if command in _STRINGS:
        return _terminated(parts)
    if command in _INDEXED:
        if not parts:
            raise ValueError("expected a number")
        return _NUMBER.pack(_number(parts[0])) + _terminated(parts[1:])
    if command == mfdef.SMFIC_MACRO:
        return _build_macros(parts)
    if command == mfdef.SMFIC_CONNECT:
        return _build_connect(parts)
    if command == _OPTNEG:
        return _build_negotiation(parts)
    if parts:
        raise ValueError("nothing is expected behind this command")
    return b""


def _octets(part: Part) -> bytes:
    if isinstance(part, str):
        raise ValueError(f"expected a quoted string, not {part}")
    return part


def _word(part: Part) -> str:
    if isinstance(part, bytes):
        raise ValueError("a quoted string stands where a word is expected")
    return part


def _number(part: Part) -> int:
    word = _word(part)
    if not word.isascii() or not word.isdigit() or len(word) > 10:
        raise ValueError(f"expected a number, not {word}")
    return int(word)


def _strings(payload: bytes) -> list[bytes]:
    """The NUL-terminated strings in *payload*."""
    *found, rest = payload.split(b"\0")
    if rest:
        raise ValueError("a string without its end")
    return found


def _terminated(parts: Sequence[Part]) -> bytes:
    return b"".join(_octets(part) + b"\0" for part in parts)


def _macros(payload: bytes) -> list[Part]:
    """SMFIC_MACRO: the command that the macros belong to, then name and value of each."""
    parts: list[Part] = [words.COMMAND_NAMES[Side.MTA].get(payload[0], hex(payload[0]))] if payload else []
    found = _strings(payload[1:])
    for name, value in zip(found[::2], found[1::2], strict=True):
        text = name.decode("ascii", "replace")
        parts += [f"{text}=", value] if _MACRO_NAME.fullmatch(text) else [name, "=", value]
    return parts


def _build_macros(parts: Sequence[Part]) -> bytes:
    if not parts:
        return b""
    word = _word(parts[0])
    command = words.COMMANDS[Side.MTA].get(word)
    if command is None:
        if not re.fullmatch("0x[0-9a-f]{1,2}", word):
            raise ValueError(f"there is no command {word}")
        command = int(word, 16)
    payload = bytes([command])
    rest = list(parts[1:])
    while rest:
        name, rest = _macro_name(rest)
        if not rest:
            raise ValueError("a macro without a value")
        payload += name + b"\0" + _octets(rest.pop(0)) + b"\0"
    return payload


def _macro_name(parts: list[Part]) -> tuple[bytes, list[Part]]:
    """The name that *parts* begin with, ``name=`` or ``"name" =``, and what follows it."""
    match parts:
        case [str(word), *rest] if len(word) > 1 and word.endswith("="):
            return word[:-1].encode(), rest
        case [bytes(name), "=", *rest]:
            return name, rest
    raise ValueError('expected macros, each as name="value"')


def _connect(payload: bytes) -> list[Part]:
    """SMFIC_CONNECT: the client's name, then family, port and address."""
    name, end, rest = payload.partition(b"\0")
    if not end or not rest:
        raise ValueError("cut short")
    family = words.FAMILY_NAMES.get(rest[0], "")
    if len(rest) == 1:
        return [name, family]
    (port,) = _PORT.unpack_from(rest, 1)
    return [name, family, str(port), *_strings(rest[1 + _PORT.size :])]


def _build_connect(parts: Sequence[Part]) -> bytes:
    if len(parts) not in (2, 4):
        raise ValueError("expected a client's name, then the family, port and address")
    name, family, *rest = parts
    number = words.FAMILIES.get(_word(family))
    if number is None:
        raise ValueError(f"expected {', '.join(words.FAMILIES)}, not {_word(family)}")
    payload = _octets(name) + b"\0" + bytes([number])
    if rest:
        payload += _PORT.pack(_number(rest[0])) + _terminated(rest[1:])
    return payload


def _negotiation(payload: bytes) -> list[list[Part]]:
    """SMFIC_OPTNEG: version, actions, steps, and from the daemon the macros that it asks for."""
    version, actions, steps = _NUMBERS.unpack_from(payload)
    lines: list[list[Part]] = [
        [str(version)],
        ["actions", *words.flags(actions, words.ACTIONS)],
        ["steps", *words.flags(steps, words.STEPS)],
    ]
    rest = payload[_NUMBERS.size :]
    while rest:
        (stage,) = _NUMBER.unpack_from(rest)
        names, _, rest = rest[_NUMBER.size :].partition(b"\0")
        lines.append(
            ["macros", words.STAGE_NAMES[stage] if stage in words.STAGE_NAMES else str(stage), names]
        )
    return lines


def _build_negotiation(parts: Sequence[Part]) -> bytes:
    if len(parts) < 3 or "actions" not in parts or "steps" not in parts:
        raise ValueError("expected the version, then actions and steps")
    lists = b""
    rest = list(parts)
    while len(rest) > 3 and rest[-3] == "macros":
        stage, names = _word(rest[-2]), _octets(rest[-1])
        number = words.STAGES[stage] if stage in words.STAGES else _number(stage)
        lists = _NUMBER.pack(number) + names + b"\0" + lists
        del rest[-3:]
    middle = rest.index("steps")
    version, first, *actions = map(_word, rest[:middle])
    if first != "actions":
        raise ValueError("expected actions behind the version")
    steps = map(_word, rest[middle + 1 :])
    numbers = (_number(version), words.bits(actions, words.ACTIONS), words.bits(steps, words.STEPS))
    return _NUMBERS.pack(*numbers) + lists
