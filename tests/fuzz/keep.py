"""What runs have collected, made small enough for the tree: ``python -m tests.fuzz.keep TARGET DIRECTORY``.

Of the inputs below DIRECTORY those stay that go a way through our code that no
smaller one goes, as long as there is room. ``script/fuzz --keep`` does it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from gatepost.recording.octets import quote
from tests.fuzz.corpora import Target, keep, target

ROOM = 5500
"""Characters that a target's inputs may take, quoted: all targets together stay below 100 kB."""
_LONGEST = 600
_ROOT = Path(__file__).parents[2]
_OURS = tuple(f"{_ROOT / package}/" for package in ("gatepost", "milters", "policy"))

Step = tuple[str, int, int]
"""A file, and two lines of it that were run one after the other."""


def steps(chosen: Target, octets: bytes) -> set[Step]:
    """The steps through our code that an input takes."""
    found: set[Step] = set()
    last: dict[FrameType, int] = {}

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(_OURS):
            return None
        if event == "line":
            found.add((frame.f_code.co_filename, last.get(frame, 0), frame.f_lineno))
            last[frame] = frame.f_lineno
        return trace

    sys.settrace(trace)
    try:
        chosen.check(octets)
    finally:
        sys.settrace(None)
    return found


def worth_keeping(chosen: Target, inputs: Iterable[bytes]) -> list[bytes]:
    """Those of *inputs* that take a step which neither a seed nor a smaller one takes, within the room there is."""
    seen: set[Step] = set()
    for seed in chosen.SEEDS:
        seen |= steps(chosen, seed)
    room = ROOM
    kept = []
    for octets in sorted(inputs, key=lambda octets: (len(octets), octets)):
        if len(octets) > _LONGEST or (size := len(quote(octets).encode()) + 1) > room:
            continue
        new = steps(chosen, octets) - seen
        if new:
            seen |= new
            room -= size
            kept.append(octets)
    return kept


def main(arguments: Sequence[str]) -> int:
    """Choose, and write the target's file."""
    if len(arguments) != 2:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    name, directory = arguments
    inputs = {file.read_bytes() for file in (Path(directory) / name).iterdir()}
    kept = worth_keeping(target(name), inputs)
    keep(name, kept)
    sys.stdout.write(f"{name}: kept {len(kept)} of {len(inputs)} inputs\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
