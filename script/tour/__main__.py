"""``python -m script.tour [--once] [--opendkim]``: the tour from the first stop to the last."""

from __future__ import annotations

import argparse
import signal
import time
from pathlib import Path

from script.tour.show import Screen
from script.tour.stops import ANNA, BERT, STOPS, STRANGER, Stop
from script.tour.world import World

_LOOK_EVERY = 0.5


def main() -> int:
    """Make the tour; exit status 0 when every verdict was as expected."""
    parser = argparse.ArgumentParser(prog="script/demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the tour")
    parser.add_argument("--opendkim", action="store_true", help="OpenDKIM and OpenDMARC in gatepost's place")
    arguments = parser.parse_args()
    screen = Screen()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leave as by Ctrl-C: nothing stays behind
    try:
        with World(opendkim=arguments.opendkim) as world:
            right = _tour(world, screen)
            if not arguments.once:
                _stay(world, screen)
    except KeyboardInterrupt:
        screen.line()
        return 0
    return 0 if right else 1


def _tour(world: World, screen: Screen) -> bool:
    who = "OpenDKIM and OpenDMARC" if world.opendkim else "gatepost"
    screen.heading(
        f"A mail server for example.nl: Postfix with {who}, and example.org as the rest of the world"
    )
    rows = []
    # Of the policy services' stops other milters know nothing.
    stops = [stop for stop in STOPS if not (world.opendkim and stop.policy)]
    for number, stop in enumerate(stops, 1):
        seen = _visit(world, screen, number, stop)
        rows.append((stop.title, stop.expected, seen, "yes" if seen == stop.expected else "NO"))
    screen.heading("What was seen")
    screen.table(("mail", "expected", "seen", "as expected"), rows)
    right = all(row[-1] == "yes" for row in rows)
    screen.line()
    screen.verdict("Every verdict was as expected." if right else "Not every verdict was as expected.", right)
    return right


def _visit(world: World, screen: Screen, number: int, stop: Stop) -> str:
    screen.heading(f"{number}. {stop.title}")
    screen.note(stop.story)
    outcome = stop.visit(world)
    if outcome.put_off is not None:
        screen.note(f"Put off: {outcome.put_off.code} {outcome.put_off.text}")
    if outcome.delivery is not None:
        screen.header(outcome.delivery)
    elif outcome.held:
        screen.note(f"In the hold queue. The log: {outcome.trouble}")
    elif outcome.trouble:
        screen.note(f"Not delivered. The mail log: {outcome.trouble}")
    else:
        screen.note(f"Refused: {outcome.reply.code} {outcome.reply.text}")
    seen = stop.look(world, outcome)
    if seen == stop.expected:
        screen.verdict(stop.meaning, True)
    else:
        screen.verdict(f"Expected: {stop.expected}. Seen: {seen}.", False)
    return seen


def _stay(world: World, screen: Screen) -> None:
    postfix = world.layout.postfix
    sample = _sample(world)
    screen.heading("Now you. Everything stays up until Ctrl-C; mail that arrives is shown here.")
    screen.note("From outside, unsigned, and signed by example.org (change the file, and see it fail):")
    inbound = (
        f"swaks --server 127.0.0.1 --port {postfix.port('mx')} --xclient-addr 192.0.2.10"
        f" --xclient-name mx.example.org --ehlo mx.example.org --from {STRANGER} --to {BERT}"
    )
    screen.line(f"\n  {inbound}")
    screen.line(f"\n  {inbound} --data @{sample}\n")
    screen.note("From Anna, who logs in, to the world:")
    screen.line(
        f"\n  swaks --server 127.0.0.1 --port {postfix.port('submission')} --auth PLAIN --auth-user {ANNA}"
        f" --auth-password secret --from {ANNA} --to {STRANGER}\n"
    )
    rows = [("Postfix, mx", f"127.0.0.1:{postfix.port('mx')}", f"log {postfix.directory}/maillog")]
    rows.append(("Postfix, submission", f"127.0.0.1:{postfix.port('submission')}", ""))
    rows.append(("DNS", world.dns_address, f"dig @127.0.0.1 -p {world.dns_address.rpartition(':')[2]} …"))
    for name, daemon in world.daemons.items():
        rows.append((name, daemon.milter, f"log {daemon.process.log_file}"))
        rows.append(("", f"http://127.0.0.1:{daemon.metrics_port}/metrics", ""))
    screen.table(("what", "where", ""), rows)

    known = set(postfix.deliveries())
    while True:
        time.sleep(_LOOK_EVERY)
        for delivery in postfix.deliveries():
            if delivery not in known:
                known.add(delivery)
                screen.heading(f"Arrived for {delivery.recipient}")
                screen.header(delivery)


def _sample(world: World) -> Path:
    stop = next(each for each in STOPS if each.expected == "dkim pass")
    file = world.directory / "signed.eml"
    file.write_bytes(stop.mail(world))
    return file


if __name__ == "__main__":
    raise SystemExit(main())
