"""The cases in which gatepost and its peers do the same work, as data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Literal

from bench import mails, ours, peers
from bench.case import Case
from bench.players import Player
from bench.policy_load import NUMBER
from bench.work import MilterWork, PolicyWork, signatures_hold, with_results
from bench.world import OURS, SPF_COLD, World
from tests.harness.milter_client import Mail

MEGABYTE = 1024 * 1024

PASS = (b"dkim=pass",)
DMARC_PASS = (b"dmarc=pass",)
SIGNED = {
    "rsa": (b"DKIM-Signature", b"a=rsa-sha256"),
    "ed25519": (b"DKIM-Signature", b"a=ed25519-sha256"),
    "both": (b"DKIM-Signature", b"a=rsa-sha256", b"a=ed25519-sha256"),
}
PUT_OFF = "DEFER_IF_PERMIT"
LET_IN_FIRST, LET_IN = "X-Greylist: delayed", "DUNNO"

MakeMails = Callable[[World, Player], Sequence[Mail]]


def strangers(kind: mails.Kind, size: int) -> MakeMails:
    """Signed messages of known domains: 200 small ones, fewer large ones."""
    number = max(2, min(200, 20 * MEGABYTE // size))
    return lambda world, player: mails.many(world.keys, number, kind, size)


def unseen(number: int) -> MakeMails:
    """Signed messages, each of a domain that nobody has asked for yet."""
    return lambda world, player: [mails.signed(world.cold, domain, 1) for domain in world.new_domains(number)]


def our_own(size: int) -> MakeMails:
    """Messages of our users, unsigned."""
    number = max(2, min(200, 20 * MEGABYTE // size))
    return lambda world, player: [
        mails.plain(OURS, n, size=size, client=mails.OUR_CLIENT) for n in range(number)
    ]


def judged(world: World, player: Player) -> Sequence[Mail]:
    """Messages that a verifier and an SPF service have seen."""
    return _judged(world, player.ours)


@cache
def _judged(world: World, sealed: bool) -> Sequence[Mail]:
    return with_results(world, mails.many(world.keys, 200), sealed=sealed)


def senders(domain: str = "sender{}.example") -> list[dict[str, str]]:
    """SPF requests of 20 domains whose records let the client pass."""
    return [
        {
            "client_address": mails.STRANGER,
            "client_name": mails.HELO,
            "reverse_client_name": mails.HELO,
            "helo_name": mails.HELO,
            "sender": f"friend{number}@{domain.format(number)}",
            "recipient": mails.RECIPIENT,
        }
        for number in range(20)
    ]


def retries() -> list[dict[str, str]]:
    """The one greylist request that :func:`bench.mails.plain` makes of its first sender's mail."""
    return [senders()[1]]


def triplets(number: int, *, new: bool) -> list[dict[str, str]]:
    """Greylist requests from as many networks; half of the senders pass SPF, half have no record."""
    found = []
    for place in range(number):
        passing = place % 2
        address = f"203.0.113.{place % 250 + 1}" if passing else f"10.{place >> 8 & 255}.{place & 255}.7"
        found.append(
            {
                "client_address": address,
                "client_name": f"mx{place}.host.example",
                "reverse_client_name": f"mx{place}.host.example",
                "helo_name": f"mx{place}.host.example",
                "sender": f"friend@sender{place % 20}.example" if passing else f"f@domain{place}.example",
                "recipient": f"user{NUMBER if new else place}@example.nl",
            }
        )
    return found


def _verify() -> Iterator[Case]:
    both = [ours.dkim_verify(), peers.opendkim_verify(), peers.dkimpy_verify()]
    sizes: Sequence[tuple[str, str, mails.Kind, int, float]] = (
        ("4k", "4 kB", "text", 4096, 5.0),
        ("100k", "100 kB", "text", 100 * 1024, 3.0),
        ("10m-text", "10 MB of text", "text", 10 * MEGABYTE, 1.5),
        ("10m-html", "10 MB of HTML", "html", 10 * MEGABYTE, 1.0),
        ("10m-base64", "10 MB of base64", "base64", 10 * MEGABYTE, 1.5),
    )
    for name, title, kind, size, target in sizes:
        work = MilterWork(strangers(kind, size), PASS)
        yield Case(
            f"verify-{name}", f"DKIM verify, {title}", "messages", work, both, {peers.OPENDKIM: target}
        )
    yield Case(
        "verify-cold",
        "DKIM verify, 4 kB, new domains",
        "messages",
        MilterWork(unseen(2500), PASS, fresh=True),
        both[:2],
        seconds=1.0,
    )


def _sign() -> Iterator[Case]:
    for name, title, algorithms, size, target in (
        ("4k", "RSA, 4 kB", "rsa", 4096, 3.5),
        ("100k", "RSA, 100 kB", "rsa", 100 * 1024, 3.5),
        ("ed25519", "Ed25519, 4 kB", "ed25519", 4096, None),
        ("both", "RSA and Ed25519, 4 kB", "both", 4096, None),
    ):
        yield Case(
            f"sign-{name}",
            f"DKIM sign, {title}",
            "messages",
            MilterWork(our_own(size), SIGNED[algorithms], check=signatures_hold),
            [ours.dkim_sign(algorithms), peers.opendkim_sign(algorithms), peers.dkimpy_sign(algorithms)],
            {peers.OPENDKIM: target} if target else {},
        )


def _dmarc() -> Iterator[Case]:
    work = MilterWork(judged, DMARC_PASS)
    players = [ours.dmarc(), peers.opendmarc()]
    yield Case("dmarc", "DMARC from results, 4 kB", "messages", work, players, {peers.OPENDMARC: 3.0})


def _spf() -> Iterator[Case]:
    players = [ours.spf(), peers.policyd_spf()]
    unseen_ones = senders(f"d{NUMBER}.{SPF_COLD}")
    for name, title, requests, per_connection, target in (
        ("spf", "SPF, known domains", senders(), 0, 5.0),
        ("spf-cold", "SPF, new domains", unseen_ones, 0, 2.0),
        ("spf-100", "SPF, 100 requests a connection", senders(), 100, None),
        ("spf-single", "SPF, 1 request a connection", senders(), 1, None),
    ):
        work = PolicyWork(requests, "spf=pass", per_connection)
        wanted = {peers.POLICYD_SPF: target} if target else {}
        yield Case(name, title, "requests", work, players, wanted, seconds=3.0 if per_connection else 1.5)


def _greylist() -> Iterator[Case]:
    stores: tuple[tuple[Literal["sqlite", "redis"], str, str, float], ...] = (
        ("sqlite", "", "", 4.0),
        ("redis", "-redis", ", Redis", 3.0),
    )
    for store, suffix, told, target in stores:
        for name, title, work, delay in (
            ("new", "new", PolicyWork(triplets(500, new=True), PUT_OFF), 300),
            (
                "waiting",
                "put off again",
                PolicyWork(triplets(500, new=False), PUT_OFF, first=[PUT_OFF]),
                300,
            ),
            (
                "known",
                "known",
                PolicyWork(
                    triplets(500, new=False),
                    LET_IN,
                    first=[PUT_OFF, LET_IN_FIRST],
                    pause=KNOWN_DELAY + 1.0,
                ),
                KNOWN_DELAY,
            ),
        ):
            yield Case(
                f"greylist-{name}{suffix}",
                f"greylist, {title}{told}",
                "requests",
                work,
                [ours.greylist(store, delay), peers.postgrey(delay)],
                {peers.POSTGREY: target},
            )


KNOWN_DELAY = 1
"""Seconds that a sender waits where the case is about those who have waited."""


def cases() -> list[Case]:
    """All of them, in the order in which they run."""
    return [*_verify(), *_sign(), *_dmarc(), *_spf(), *_greylist()]
