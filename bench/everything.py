"""All that is measured, in the order in which it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from bench import cases, mails, ours, peers
from bench.case import Case
from bench.cases import MEGABYTE, our_own, strangers
from bench.floor import Above, Floor
from bench.growth import Growth, Point
from bench.latency import Latency, Way
from bench.measurement import CLIENTS, Measurement
from bench.memory import Memory
from bench.ours import Variant
from bench.players import OURS, Player
from bench.slow_dns import SlowDns
from bench.work import MilterWork, PolicyWork
from bench.world import World
from tests.harness.milter_client import Mail

_NO_SEALS = {"seal": False}
_NO_LINES = {"log": {"level": "warning"}}


def measurements() -> list[Measurement]:
    """All of them."""
    return [*cases.cases(), _latency(), _memory(), _slow_dns(), *_growths(), _costs(), _floor()]


def _verifying(size: int = 4096) -> MilterWork:
    return MilterWork(strangers("text", size), cases.PASS)


def _verifiers() -> list[Player]:
    return [ours.dkim_verify(), peers.opendkim_verify()]


def _named(player: Player, name: str) -> Player:
    """The same under the name of what it does, where many of ours stand in one table."""
    return Player(f"{player.name} {name}", player.start)


def _latency() -> Latency:
    stranger, judged, own = _first(strangers("text", 4096)), _first(cases.judged), _first(our_own(4096))
    verify, sign = _verifying(), MilterWork(our_own(4096), cases.SIGNED["rsa"])
    dmarc = MilterWork(cases.judged, cases.DMARC_PASS)
    spf = PolicyWork(cases.senders(), "spf=pass", first=["spf=pass"])
    again = PolicyWork(cases.retries(), cases.LET_IN, first=[cases.PUT_OFF, cases.LET_IN_FIRST], pause=2.0)
    pymilter = Variant("dkim-verify on pymilter", {"engine": "libmilter", "workers": 1})
    return Latency(
        [
            Way(_named(ours.dkim_verify(), "dkim-verify"), verify, stranger),
            Way(_named(ours.dkim_sign("rsa"), "dkim-sign"), sign, own),
            Way(_named(ours.dmarc(), "dmarc"), dmarc, judged),
            Way(_named(ours.spf(), "spf"), spf, _asked, policy=True),
            Way(_named(ours.greylist("sqlite", cases.KNOWN_DELAY), "greylist"), again, _asked, policy=True),
            Way(_named(peers.opendkim_verify(), "verify"), verify, stranger),
            Way(_named(peers.opendkim_sign("rsa"), "sign"), sign, own),
            Way(peers.opendmarc(), dmarc, judged),
            Way(peers.policyd_spf(), spf, _asked, policy=True),
            Way(peers.postgrey(cases.KNOWN_DELAY), again, _asked, policy=True),
            Way(_named(peers.dkimpy_verify(), "verify"), verify, stranger),
            Way(ours.dkim_verify(pymilter), verify, stranger),
        ],
        plain=stranger,
    )


def _first(make: cases.MakeMails) -> Callable[[World, Player], Mail]:
    return partial(_first_of, make)


def _first_of(make: cases.MakeMails, world: World, player: Player) -> Mail:
    return make(world, player)[0]


def _asked(world: World, player: Player) -> Mail:
    return mails.plain("sender1.example", 1)


def _memory() -> Memory:
    return Memory(_verifiers())


def _slow_dns() -> SlowDns:
    return SlowDns(_verifiers(), _verifying())


def _growths() -> Iterator[Growth]:
    sizes = (4096, 16 * 1024, 64 * 1024, 256 * 1024, MEGABYTE, 4 * MEGABYTE, 10 * MEGABYTE)
    yield Growth(
        "size",
        "DKIM verify, by size",
        "octets",
        [Point(size, _verifying(size), _verifiers()) for size in sizes],
        note=f"With {CLIENTS} clients; x is the size of the body in octets.",
    )
    yield Growth(
        "clients",
        "DKIM verify, 4 kB, by clients",
        "clients",
        [Point(clients, _verifying(), _verifiers(), clients) for clients in (1, 2, 4, 8, 16, 32, 64)],
    )
    for name, title, work, make in (
        ("workers", "DKIM verify, 4 kB, by workers", _verifying(), ours.dkim_verify),
        (
            "workers-sign",
            "DKIM sign, 4 kB, by workers",
            MilterWork(our_own(4096), cases.SIGNED["rsa"]),
            partial(ours.dkim_sign, "rsa"),
        ),
    ):
        points = [
            Point(workers, work, [make(Variant(section={"workers": workers}))]) for workers in (1, 2, 3, 4)
        ]
        yield Growth(name, title, "workers", points)


def _costs() -> Case:
    variants = [
        Variant(),
        Variant(f"{OURS}, no seals", _NO_SEALS),
        Variant(f"{OURS}, no log lines", common=_NO_LINES),
        Variant(f"{OURS}, no metrics page", metrics=False),
        Variant(f"{OURS}, none of these", _NO_SEALS, _NO_LINES, metrics=False),
    ]
    players = [ours.dkim_verify(variant) for variant in variants]
    return Case(
        "costs", "DKIM verify, what things cost", "messages", _verifying(), players, rounds=5, seconds=1.0
    )


def _floor() -> Floor:
    single = Variant(section={"workers": 1})
    verifier, signer = ours.dkim_verify(single), ours.dkim_sign("rsa", single)
    works = []
    for title, size in (("4 kB", 4096), ("100 kB", 100 * 1024), ("10 MB", 10 * MEGABYTE)):
        make = strangers("text", size)
        works.append(
            Above(f"DKIM verify, {title}", verifier, MilterWork(make, cases.PASS), make, size, signs=False)
        )
    own = our_own(4096)
    works.append(
        Above("DKIM sign, 4 kB", signer, MilterWork(own, cases.SIGNED["rsa"]), own, 4096, signs=True)
    )
    return Floor(works)
