"""Policy requests out of a stream (``policy.protocol``).

- However the stream is cut, the same requests and refusals come out, and the same fault.
- What waits for its end is never more than the longest request taken.
- A request has no more attributes than taken, none without a name, none with NUL or a line end, and
  written again it is what was sent, and is read as itself.
- Any text as an action is one line and an empty one, or ActionError.
"""

from __future__ import annotations

from policy.protocol import MAX_ACTION, ActionError, Refusal, RequestReader, write_action
from tests.fuzz.tape import Tape, cut
from tests.fuzz.told import check_told

_REQUEST = b"request=smtpd_access_policy\nprotocol_state=RCPT\nsender=a@example.nl\ninstance=1.2\n\n"
SEEDS = (
    b"\0\0" + _REQUEST,
    b"\0\2\x40\0\x41\0" + _REQUEST + _REQUEST,
    b"\0\0" + _REQUEST.replace(b"\n", b"\r\n"),
    b"\0\0request=smtpd_access_policy\nsender=a\nsender=b\n\n" + _REQUEST,
    b"\0\0request=other\n\n",
    b"\0\0GET / HTTP/1.1\r\nHost: example.nl\r\n\r\n",
    b"\1\0request=smtpd_access_policy\n" + b"x=" + b"y" * 300 + b"\n\n" + _REQUEST,
    b"\1\0" + b"request=smtpd_access_policy\n" + b"".join(b"a%d=\n" % n for n in range(12)) + b"\n",
    b"\0\0request=smtpd_access_policy\nsender=\xff\xfe\0\n\n",
    b"\0\0\n\n\r\n\r\n",
)
WORDS = (
    b"request=smtpd_access_policy\n", b"\n\n", b"\r\n\r\n", b"\n\r\n", b"\r\n", b"instance=", b"=", b"PREPEND ",
)  # fmt: skip

_LIMITS = ((65536, 200), (200, 10))


def check(data: bytes) -> None:
    tape = Tape(data)
    longest, most = _LIMITS[tape.number(len(_LIMITS))]
    places = tape.cuts()
    stream = tape.rest()
    whole = RequestReader(longest, most)
    found = whole.feed(stream)
    cutting = RequestReader(longest, most)
    again = []
    for piece in cut(stream, places):
        again += cutting.feed(piece)
        assert len(cutting._buffer) <= longest + 3
    assert again == found
    assert (cutting.fault is None) == (whole.fault is None)
    for each in found:
        if isinstance(each, Refusal):
            assert each.reason.isprintable()
            continue
        assert 0 < len(each.attributes) <= most
        text = ""
        for name, value in each.attributes.items():
            assert name
            assert not {"\0", "\n"} & set(name + value)
            text += f"{name}={value}\n"
        octets = text.encode("utf-8", "surrogateescape")
        assert len(octets) <= longest + 1
        assert octets + b"\n" in stream or octets + b"\n" in stream.replace(b"\r\n", b"\n")
        assert RequestReader(longest, most).feed(octets + b"\n") == [each]
    _write(stream)


def _write(octets: bytes) -> None:
    try:
        written = write_action(octets.decode("utf-8", "replace"))
    except ActionError as error:
        check_told(error)
        return
    assert written.startswith(b"action=")
    assert written.endswith(b"\n\n")
    assert len(written) <= MAX_ACTION + len(b"action=\n\n")
    assert written[:-2].decode().isprintable()
