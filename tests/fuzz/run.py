"""One target under atheris: ``python -m tests.fuzz.run TARGET DIRECTORY [FILE...] [libFuzzer's options]``.

New inputs are collected below DIRECTORY, findings in ``findings/`` there. With
FILEs these are tried and nothing else. The exit status is libFuzzer's: 0 where
nothing was found. ``script/fuzz`` runs all targets.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from hashlib import sha1
from importlib import import_module
from pathlib import Path
from typing import Any

_INSTRUMENTED = ("gatepost", "milters", "policy")
_LONGEST = 8192
_SECONDS_AN_INPUT = 10
_MEGABYTES = 1024


def main(arguments: Sequence[str]) -> int:
    """Fuzz until libFuzzer's options say that it is enough; does not come back."""
    if len(arguments) < 2:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    name, directory = arguments[0], Path(arguments[1])
    atheris: Any = import_module("atheris")  # no part of the ordinary set-up
    with atheris.instrument_imports(include=list(_INSTRUMENTED)):
        corpora = import_module("tests.fuzz.corpora")
        target = corpora.target(name)
    collected, findings = directory / name, directory / "findings"
    for each in (collected, findings):
        each.mkdir(parents=True, exist_ok=True)
    for octets in corpora.inputs(name):
        (collected / sha1(octets, usedforsecurity=False).hexdigest()).write_bytes(octets)
    words = directory / f"{name}.words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.WORDS))
    options = [
        f"-artifact_prefix={findings}/{name}-",
        f"-dict={words}",
        f"-max_len={_LONGEST}",
        f"-timeout={_SECONDS_AN_INPUT}",
        f"-rss_limit_mb={_MEGABYTES}",
        "-len_control=10",
        "-print_final_stats=1",
        *arguments[2:],
    ]
    if not any(Path(each).is_file() for each in arguments[2:]):
        options.append(str(collected))
    atheris.Setup([sys.argv[0], *options], target.check)
    atheris.Fuzz()
    return 0


def _escaped(word: bytes) -> str:
    """*word* as libFuzzer's dictionaries have it."""
    return "".join(f"\\x{octet:02X}" for octet in word)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
