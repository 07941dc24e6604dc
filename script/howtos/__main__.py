"""``python -m script.howtos``: what ``script/test-howto`` runs."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from script.howtos import world
from script.howtos.host import Host
from script.howtos.mailing import Account, Mailing
from script.howtos.page import steps
from script.howtos.trips import TRIPS, Trip
from script.packages.tree import DIST, ROOT
from script.packages.trial.checking import expect, status_of, tell
from script.packages.trial.clean_root import CleanRoot, boot, unpacked
from script.packages.trial.package import place
from tests.harness.keys import KeyPair, rsa_key

_DOCS = ROOT / "docs"
_PEERS = sorted({word for trip in TRIPS.values() for word in trip.packages.split()})


def main() -> int:
    """Follow the pages that are named, or all; exit status 0 when every promise was kept."""
    parser = argparse.ArgumentParser(prog="script/test-howto")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"tutorial, {', '.join(TRIPS)}; all, if none is given"
    )
    wanted = parser.parse_args().names or ["tutorial", *TRIPS]
    ways: dict[str, Callable[[Host, Mailing], Account]] = {"tutorial": _tutorial}
    ways |= {name: partial(_migrate, trip) for name, trip in TRIPS.items()}
    if unknown := set(wanted) - set(ways):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    return status_of("script/test-howto", lambda: _follow({name: ways[name] for name in wanted}))


def _follow(ways: Mapping[str, Callable[[Host, Mailing], Account]]) -> None:
    friend = rsa_key("example.org")
    with unpacked("howtos", [*world.PACKAGES, *_PEERS]) as directory:
        _prepare(directory, friend)
        for name, way in ways.items():
            with boot(directory, copy=True) as root:
                began, host = time.monotonic(), Host(root)
                account = way(host, Mailing(root, friend))
                spent = time.monotonic() - began
            tell(
                f"{name}: {host.commands} commands, {spent:.0f} s; of {len(account.replies)} mails meanwhile "
                f"{len(account.put_off)} put off, none lost"
            )
    tell("all is as the pages say")


def _prepare(directory: Path, friend: KeyPair) -> None:
    [package] = DIST.glob("gatepost_*.deb")
    with boot(directory) as root:
        world.prepare(root, friend)
        root.run(f"apt-get -qq -y --no-install-recommends install {place(root, package)}")
    tell("a mail server with gatepost installed, and nothing of it running")


def _tutorial(host: Host, mailing: Mailing) -> Account:
    page = _DOCS / "tutorial.md"
    host.follow(step for step in steps(page) if not step.text.startswith("script/package "))
    host.root.run("gatepost greylist allow example.org")
    with mailing.going_on() as account:
        _some_mail(host.root)
    expect(not account.put_off, "all mail is taken", account.replies)
    for result in ("spf=pass ", "dkim=pass ", "dmarc=pass "):
        expect(not account.without("in", result), f"a friend's mail has {result}", account.delivered)
    expect(not account.without("out", "(?m)^DKIM-Signature:"), "our mail is signed", account.delivered)
    expect("450 " in mailing.spoof(), "who comes for the first time waits")
    return account


def _migrate(trip: Trip, host: Host, mailing: Mailing) -> Account:
    """From the peer to ours, under mail."""
    page = list(steps(_DOCS / trip.page))
    host.root.run(f"apt-get -qq -y --no-install-recommends install {trip.packages}")
    before = [step for step in page if step.heading in trip.before]
    files = [step for step in before if step.mark.startswith("file ")]
    host.follow(files)
    host.root.run(trip.start)
    host.follow(step for step in before if step not in files)
    host.root.run(f"cd /root\n{trip.put_in}")
    with mailing.going_on() as account:
        _some_mail(host.root)
        host.follow(step for step in page if step.heading in trip.move)
        _some_mail(host.root)
    expect(trip.patient or not account.put_off, "there is no pause", account.replies)
    expect(not account.lost, "no mail is lost", account.lost)
    for kind, pattern in (("in", trip.inward), ("out", trip.outward)):
        left = account.without(kind, pattern) if pattern else []
        expect(
            not left,
            f"every mail that went {kind} has {pattern} once",
            [account.delivered[each] for each in left[:1]],
        )
    if "dmarc" in trip.inward:
        expect(mailing.spoof().startswith("550 "), "a spoofer is refused")
    return account


def _some_mail(root: CleanRoot) -> None:
    """Wait until more mail has come and gone."""
    there = int(root.run(f"ls {world.TAKEN} | wc -l"))
    root.settled(f'test "$(ls {world.TAKEN} | wc -l)" -ge {there + 5}', 90)


if __name__ == "__main__":
    sys.exit(main())
