"""Milter packets as values: splitting the stream, reading payloads, writing replies. No I/O.

A packet is four octets of length (network order), one octet of command, and
the command's payload; the length counts the command. There is no RFC: the
reference is libmilter, and Postfix's ``milter8.c`` is the peer that matters.

All readers raise :class:`ProtocolError`, and nothing else, on a payload that
is not what the protocol says.
"""

from __future__ import annotations

from collections.abc import Container
from functools import lru_cache
from ipaddress import ip_address
from struct import Struct

from milters import mfdef

_LENGTH_AND_COMMAND = Struct("!IB")
_PORT = Struct("!H")
_INDEX = Struct("!I")

MAX_WORD = 4096
"""The longest host name, HELO name or address taken, in octets. RFC 5321 §4.5.3.1 allows 256, Postfix 2,048."""
MAX_MACROS = 65536
"""The longest set of macros taken for one command, in octets: what libmilter takes in a packet."""


class ProtocolError(ValueError):
    """The peer does not speak the milter protocol. The connection is of no more use."""


class PacketReader:
    """Cuts a stream of octets into packets, however it arrives.

    ``limit`` is the longest packet taken, in octets (its command and payload).
    ``fault`` is None while the stream is sound; once a length is zero or over
    the limit it holds the error, and nothing after that point is read.
    ``begun`` counts the packets that arrived in more than one piece: while it
    stays the same, ``partial`` speaks of the same packet.
    """

    __slots__ = ("_limit", "_needed", "_partial", "begun", "fault")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._partial = bytearray()
        self._needed = 0
        self.begun = 0
        self.fault: ProtocolError | None = None

    @property
    def partial(self) -> bool:
        """Whether part of a packet has arrived, and its end has not."""
        return bool(self._partial)

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The packets that *data* completes, as (command, payload), oldest first."""
        packets: list[tuple[int, bytes]] = []
        if self.fault is not None:
            return packets
        if self._partial:
            # Collected in place: a packet that comes octet by octet costs no more than one that comes whole.
            self._partial += data
            if len(self._partial) < self._needed:
                return packets
            data = bytes(self._partial)
            self._partial.clear()
        start, size, limit = 0, len(data), self._limit
        unpack, append = _LENGTH_AND_COMMAND.unpack_from, packets.append
        self._needed = 5
        while size - start > 4:
            length, command = unpack(data, start)
            if not 0 < length <= limit:
                self.fault = ProtocolError(f"packet of {length} octets (at most {limit} are taken)")
                return packets
            end = start + 4 + length
            if end > size:
                self._needed = end - start
                break
            append((command, data[start + 5 : end]))
            start = end
        if start < size:
            self.begun += 1
            self._partial += data[start:] if start else data
        return packets


def _string(payload: bytes, what: str) -> bytes:
    """The first of the NUL-terminated strings in *payload*."""
    word, end, _ = payload.partition(b"\0")
    if not end:
        raise ProtocolError(f"{what} without its end")
    if len(word) > MAX_WORD:
        raise ProtocolError(f"{what} of {len(word)} octets")
    return word


def read_offer(payload: bytes) -> tuple[int, int, int]:
    """SMFIC_OPTNEG: the peer's version, actions and protocol steps."""
    if len(payload) < 12:
        raise ProtocolError(f"negotiation of {len(payload)} octets")
    return (
        int.from_bytes(payload[0:4], "big"),
        int.from_bytes(payload[4:8], "big"),
        int.from_bytes(payload[8:12], "big"),
    )


def read_connect(payload: bytes) -> tuple[str, str]:
    """SMFIC_CONNECT: the client's name and textual IP address; "" for a client that has none."""
    name = _string(payload, "client name")
    rest = payload[len(name) + 1 :]
    if not rest:
        raise ProtocolError("connection without an address family")
    address = ""
    family = rest[0]
    if family in (mfdef.SMFIA_INET, mfdef.SMFIA_INET6):
        if len(rest) < 1 + _PORT.size:
            raise ProtocolError("client address cut short")
        address = client_address(_string(rest[1 + _PORT.size :], "client address"))
    elif family not in (mfdef.SMFIA_UNIX, mfdef.SMFIA_UNKNOWN):
        raise ProtocolError(f"unknown address family {family}")
    return name.decode("utf-8", "surrogateescape"), address


@lru_cache(maxsize=4096)
def client_address(word: bytes) -> str:
    """A client's address as MTAs write it, "IPv6:" in front or not; "" for none or "unknown"."""
    if word[:5].lower() == b"ipv6:":  # RFC 5321 §4.1.3, as Sendmail writes it
        word = word[5:]
    if word.lower() in (b"", b"unknown"):
        return ""
    try:
        text = word.decode("ascii")
        ip_address(text)
    except ValueError:
        raise ProtocolError("client address is no IP address") from None
    return text


def read_helo(payload: bytes) -> bytes:
    """SMFIC_HELO: the name the client gave."""
    return _string(payload, "HELO name")


def read_path(payload: bytes) -> bytes:
    """SMFIC_MAIL, SMFIC_RCPT: the address, without angle brackets. The ESMTP parameters behind it are not read."""
    return bare_address(_string(payload, "address"))


def bare_address(path: bytes) -> bytes:
    """An address without the angle brackets of RFC 5321 §4.1.2."""
    if path[:1] == b"<" and path[-1:] == b">":
        return path[1:-1]
    return path


def read_header(payload: bytes) -> tuple[bytes, bytes]:
    """SMFIC_HEADER: name and value of one field."""
    name, _, value = payload.partition(b"\0")
    if not name or value[-1:] != b"\0":
        raise ProtocolError("header field without name or end")
    return name, value[:-1]


def read_macros(payload: bytes, wanted: Container[str] | None = None) -> dict[str, str]:
    """SMFIC_MACRO, behind the command it belongs to: macros by bare name. Octets that are not UTF-8 are escaped.

    *wanted* are the names that are of use, None for all.
    """
    words = payload.decode("utf-8", "surrogateescape").split("\0")
    if len(words) % 2 == 0 or words[-1]:
        raise ProtocolError("macro without a value")
    pairs = zip(words[::2], words[1::2], strict=False)
    if wanted is None:
        return {name.strip("{}"): value for name, value in pairs}
    return {bare: value for name, value in pairs if (bare := name.strip("{}")) in wanted}


def packet(command: int, payload: bytes = b"") -> bytes:
    """One packet, ready for the wire."""
    return _LENGTH_AND_COMMAND.pack(len(payload) + 1, command) + payload


ACCEPT = packet(mfdef.SMFIR_ACCEPT)
CONTINUE = packet(mfdef.SMFIR_CONTINUE)
DISCARD = packet(mfdef.SMFIR_DISCARD)
PROGRESS = packet(mfdef.SMFIR_PROGRESS)
REJECT = packet(mfdef.SMFIR_REJECT)
SKIP = packet(mfdef.SMFIR_SKIP)
TEMPFAIL = packet(mfdef.SMFIR_TEMPFAIL)


def write_agreement(version: int, actions: int, steps: int, macros: dict[int, str]) -> bytes:
    """SMFIC_OPTNEG, our answer. *macros*: space-separated names by stage (SMFIM_*)."""
    lists = b"".join(_INDEX.pack(stage) + names.encode() + b"\0" for stage, names in macros.items())
    numbers = b"".join(map(_INDEX.pack, (version, actions, steps)))
    return packet(mfdef.SMFIC_OPTNEG, numbers + lists)


def write_insheader(position: int, name: bytes, value: bytes) -> bytes:
    """SMFIR_INSHEADER: a field at *position*, 0 the very top."""
    return packet(mfdef.SMFIR_INSHEADER, _INDEX.pack(position) + b"%b\0%b\0" % (name, value))


def write_chgheader(index: int, name: bytes, value: bytes) -> bytes:
    """SMFIR_CHGHEADER: a new value for the *index*-th field (1-based) of that name; an empty one removes it."""
    return packet(mfdef.SMFIR_CHGHEADER, _INDEX.pack(index) + b"%b\0%b\0" % (name, value))


def write_quarantine(reason: bytes) -> bytes:
    """SMFIR_QUARANTINE: put the message on hold."""
    return packet(mfdef.SMFIR_QUARANTINE, reason + b"\0")


def write_replycode(line: bytes) -> bytes:
    """SMFIR_REPLYCODE: refuse with an SMTP reply of our own."""
    # The MTA expands the text as a format: libmilter's smfi_setreply asks for "%%" too.
    return packet(mfdef.SMFIR_REPLYCODE, line.replace(b"%", b"%%") + b"\0")
