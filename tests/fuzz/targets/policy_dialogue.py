"""Whole policy dialogues with the real services: spf in two settings, and greylist on a store in memory.

The input says which service, one DNS record that stands at every name it does
not know, and what comes over the connection: a request with some attributes of
the input's, or octets as they come.

- Nothing is raised, nothing breaks in a service, nothing is left under way.
- Every request is answered, once and in order: one line ``action=…`` of bounded length, printable, of a kind that
  Postfix knows.
- However the octets are cut, and whether DNS answers at once or later, the same is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from ipaddress import ip_network

from gatepost.authres.seal import Sealer
from gatepost.config.addresses import SocketAddress
from gatepost.config.greylist_settings import Greylist
from gatepost.config.sections import Dns, Limits
from gatepost.config.spf_settings import Spf
from gatepost.dns.budget import Budget
from gatepost.log import Logger
from gatepost.metrics import Metrics
from gatepost.networks import Networks
from gatepost.spf.check import check as check_spf
from gatepost.spf.result import SpfResult
from policy import greylist, spf
from policy.dialogue import Dialogue
from policy.greylist import GreylistHandler
from policy.greylisting.counts import Counts
from policy.greylisting.decision import Decision, OriginRecord, Rules, TripletRecord, judge
from policy.greylisting.desk import Desk
from policy.greylisting.setup import read_lists
from policy.greylisting.store import Question
from policy.greylisting.vouching import SpfVouching
from policy.handler import Handler
from policy.protocol import MAX_ACTION, RequestReader
from policy.spf import SpfHandler
from policy.terms import Terms
from tests.fuzz.scene import Answers, Log, run
from tests.fuzz.tape import Tape, counted, cut
from tests.harness.policy_client import USUAL

_NAMES = tuple(USUAL)
_RAW, _COLD = 1, 2
_SOCKET = [SocketAddress.parse("inet:1@127.0.0.1")]
_PLAIN = Spf.model_validate({"socket": _SOCKET})
_STRICT = Spf.model_validate({
    "socket": _SOCKET, "helo_reject": "not_pass", "mail_from_reject": "softfail", "permerror_reject": True,
    "temperror_defer": True, "header": "both",
    "overrides": {"lenient@example.nl": {"helo_reject": "never", "mail_from_reject": "never"}},
})  # fmt: skip
_ALLOW = {"clients": ["friendly.example.org", "192.0.2.200"], "recipients": ["postmaster@"]}
_GREYLIST = Greylist.model_validate({"socket": _SOCKET, "allow": _ALLOW})
_LISTS = greylist.AllowLists(*read_lists(_GREYLIST, "daemons.greylist"))
_LOG = Logger(level="error")
_METRICS = Metrics("spf")
_COUNTS = Counts(Metrics("greylist"))
_RULES = Rules(delay=300, retry_window=172800, max_age=3024000, auto_allow=5, auto_allow_interval=3600)


def _seed(service: int, flags: int, record: bytes, *requests: dict[str, bytes]) -> bytes:
    octets = bytes([service, flags]) + counted(record) + b"\1\x60\0"
    for request in requests:
        octets += bytes([len(request)])
        octets += b"".join(bytes([_NAMES.index(name)]) + counted(value) for name, value in request.items())
    return octets


SEEDS = (
    _seed(0, 0, b"v=spf1 ip4:192.0.2.0/24 -all", {"sender": b"a@stranger.example", "instance": b"1"}),
    _seed(
        0, 2, b"v=spf1 -all", {"sender": b"a@stranger.example"}, {"sender": b""}, {"protocol_state": b"DATA"}
    ),
    _seed(
        1,
        2,
        b"v=spf1 a mx include:x.example exists:%{i}.%{l} ~all exp=e.example",
        {"sender": b"\xff@x.example"},
    ),
    _seed(1, 0, b"v=spf1 +all", {"helo_name": b"[192.0.2.1]", "client_address": b"2001:db8::1"}),
    _seed(1, 0, b"", {"client_address": b"unknown"}, {"recipient": b"lenient@example.nl"}),
    _seed(2, 2, b"v=spf1 ip4:192.0.2.10 -all", {"sender": b"bounce-123=a@x.example"}, {"sender": b""}),
    _seed(2, 0, b"", {"recipient": b"POSTMASTER@example.nl"}, {"client_name": b"x.friendly.example.org"}),
    b"\0\1\0\0request=smtpd_access_policy\nprotocol_state=RCPT\n\n\n\nGET / HTTP/1.1\r\n\r\n",
)
WORDS = (
    b"v=spf1 ", b"include:", b"exp=", b"%{i}", b"@example.org", b"@fail.example", b"192.0.2.10", b"2001:db8::1",
    b"prvs=", b"srs0=", b"\xff", b"request=smtpd_access_policy\n", b"\n\n", b"RCPT", b"DATA", b'"', b"unknown",
)  # fmt: skip

_ACTION = re.compile(r"(?:DUNNO|PREPEND [A-Za-z-]+: .+|(?:[45][0-9]{2}|DEFER_IF_PERMIT) [45]\.[0-9.]+ .+)")


def _clock() -> float:
    return 1_700_000_000.0


class _Memory:
    """A store that is gone with its input, so that none depends on the one before."""

    def __init__(self) -> None:
        self.triplets: dict[object, TripletRecord] = {}
        self.origins: dict[str, OriginRecord] = {}

    async def judge(self, questions: Sequence[Question], now: float) -> list[Decision]:
        decisions = []
        for triplet, counts in questions:
            for part in triplet:
                assert part.isprintable()
                assert len(part) < 400
            judged = judge(self.triplets.get(triplet), self.origins.get(triplet.origin), now, _RULES, counts)
            if judged.triplet is not None:
                self.triplets[triplet] = judged.triplet
            if judged.origin is not None:
                self.origins[triplet.origin] = judged.origin
            decisions.append(judged.decision)
        return decisions

    async def tend(self, now: float) -> float:
        return 3600.0

    async def size(self) -> int:
        return len(self.triplets)

    async def close(self) -> None:
        pass


def _spf(answers: Answers, settings: Spf) -> SpfHandler:
    """The SPF service, which remembers nothing yet."""
    tools = spf.Tools(
        authserv_id="mail.example.nl",
        trusted=Networks([ip_network("127.0.0.0/8")]),
        sealer=Sealer(bytes(32), 3600.0),
        resolver=answers,  # type: ignore[arg-type]
        new_budget=lambda: Budget(Dns()),
        log=_LOG,
        metrics=_METRICS,
        clock=_clock,
    )
    return SpfHandler("spf", settings, tools)


def _greylist(answers: Answers) -> GreylistHandler:
    """The greylist, which remembers nothing yet. Needs the event loop."""

    async def checked(client: str, helo: str, sender: str) -> SpfResult:
        name, mail_from = (text.encode("utf-8", "surrogateescape") for text in (helo, sender))
        return await check_spf(answers, Budget(Dns()), client, name, mail_from)  # type: ignore[arg-type]

    tools = greylist.Tools(
        host="mail.example.nl",
        trusted=Networks([ip_network("127.0.0.0/8")]),
        lists=_LISTS,
        desk=Desk(_Memory(), timeout=1.0, log=_LOG, counts=_COUNTS, clock=_clock),  # type: ignore[arg-type]
        resolver=answers,  # type: ignore[arg-type]
        new_budget=lambda: Budget(Dns()),
        log=_LOG,
        counts=_COUNTS,
        spf=SpfVouching(checked, _clock),
        clock=_clock,
    )
    return GreylistHandler("greylist", _GREYLIST, tools)


_SERVICES: tuple[Callable[[Answers], Handler], ...] = (
    lambda answers: _spf(answers, _PLAIN),
    lambda answers: _spf(answers, _STRICT),
    _greylist,
)


def check(data: bytes) -> None:
    tape = Tape(data)
    make = _SERVICES[tape.number(len(_SERVICES))]
    flags = tape.number(4)
    record = tape.octets()
    places = tape.cuts()
    stream = tape.rest() if flags & _RAW else _requests(tape)
    said = run(_converse(make, Answers(record=record), [stream]))
    late = Answers(record=record, cold=bool(flags & _COLD))
    assert run(_converse(make, late, cut(stream, places))) == said
    found = len(RequestReader().feed(stream))
    actions = said.decode().split("\n\n")
    assert actions.pop() == ""
    assert len(actions) == found
    for action in actions:
        assert action.isprintable()
        assert not action.startswith("action=PREPEND") or "=?" not in action
        assert len(action.encode()) <= MAX_ACTION + len("action=")
        assert _ACTION.fullmatch(action.removeprefix("action="))


def _requests(tape: Tape) -> bytes:
    octets = b""
    while tape:
        changed = {_NAMES[tape.number(len(_NAMES))]: tape.octets() for _ in range(tape.number(8))}
        request = {name: value.encode() for name, value in USUAL.items()} | changed
        octets += b"".join(b"%b=%b\n" % (name.encode(), value) for name, value in request.items()) + b"\n"
        if len(octets) > 60_000:
            break
    return octets


async def _converse(make: Callable[[Answers], Handler], answers: Answers, chunks: list[bytes]) -> bytes:
    handler = make(answers)
    dialogue = Dialogue(Terms(handler, Limits(), Log(), clock=lambda: 0.0))
    said = bytearray()
    for chunk in chunks:
        said += dialogue.feed(chunk)
        while dialogue.pending is not None:
            said += dialogue.resume(await dialogue.pending)
        if dialogue.fault is not None:
            assert str(dialogue.fault).isprintable()
            break
    dialogue.close()
    await handler.close()
    return bytes(said)
