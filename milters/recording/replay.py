"""Session files played to a daemon, and what is different now."""

from __future__ import annotations

from gatepost.recording.difference import PATIENCE, Difference, compare_each
from gatepost.recording.wire import Address, Wire
from milters.recording.answers import differences, recorded
from milters.recording.events import Connection, Recording
from milters.recording.link import PacketLink
from milters.recording.player import play
from milters.recording.words import STEPS, flags


async def replay(
    recording: Recording, address: Address, *, masked: bool = True, patience: float = PATIENCE
) -> list[Difference]:
    """Play all connections, one after the other, to the daemon at *address*; gives what is different.

    With *masked*, signatures and seals may have been made at another time.
    Raises OSError where the daemon cannot be reached.
    """
    return await compare_each(
        recording.connections, lambda connection: _replay(connection, address, masked, patience)
    )


async def _replay(connection: Connection, address: Address, masked: bool, patience: float) -> list[str]:
    link = PacketLink(await Wire.connect(address), patience)
    then = recorded(connection.events, masked=masked)
    now = await play(connection, link, masked=masked)
    lines = differences(then.answers, now.answers)
    missing = then.manners.left_out_beyond(now.manners)
    if lines and missing:
        # Not the daemon's fault, perhaps: it was not told all that it wants to know.
        steps = ", ".join(name.removeprefix("NO") for name in flags(missing, STEPS))
        lines.append(f" (the daemon now asks for steps that were not recorded: {steps})")
    return lines
