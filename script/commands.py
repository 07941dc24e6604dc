"""Writes docs/commands.md from the commands themselves: their options, and what they really print.

.venv/bin/python script/commands.py
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from gatepost.cli import COMMANDS, module_of
from gatepost.cli import main as gatepost
from gatepost.cli.syntax import Argument, Command, command_of
from gatepost.config.greylist_settings import Greylist
from gatepost.config.load import load
from gatepost.dkim.keys.keyfile import KeyRules, load_private_key
from gatepost.dkim.publish import record_text
from gatepost.log import Logger
from policy.greylisting.setup import make_store

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "commands.md"
KEYS = ROOT / "tests" / "sessions" / "keys"

HEAD = """\
# Commands

All commands of `gatepost`, what they take, and one thing that each has printed.
`gatepost COMMAND --help` says the same, `gatepost completion` makes a shell
complete it.

The exit status is 0 where all is well, 1 where what was asked about is not, 2
for wrong arguments, 78 for a configuration that cannot be used; each command
tells what that means for it. Colour is for terminals, and `NO_COLOR` turns it
off. With `--json` a report is one JSON object.

This page is made from the program by `script/commands.py`. Long keys are cut
in it.
"""

PLACE = "/etc/gatepost"
"""What stands in the page for the directory in which the commands were run."""

SHOWN = {
    "run": "run dkim-verfy --config gatepost.yaml",
    "check": "check --config gatepost.yaml",
    "postfix": "postfix --config gatepost.yaml --layout c",
    "import": "import postgrey postgrey",
    "record": "record --listen unix:/etc/gatepost/listen --to unix:/etc/gatepost/daemon --output sessions/",
    "replay": "replay sign.session --daemon dkim-sign --config gatepost.yaml",
    "dmarc": "dmarc news.example.nl --config gatepost.yaml",
    "verify": "verify signed.eml --ip 192.0.2.25 --helo mail.example.nl --from anna@example.nl --config gatepost.yaml",
    "spf": "spf 192.0.2.25 anna@example.nl mail.example.nl --config gatepost.yaml",
    "greylist": "greylist allow example.org --config gatepost.yaml",
    "dns": "dns example.nl --config gatepost.yaml",
    "keygen": "keygen example.nl --selector 2026e --type ed25519 --directory keys",
    "testkey": "testkey --config gatepost.yaml",
    "sign": "sign message.eml --config gatepost.yaml --fields",
    "completion": "completion daemons --config gatepost.yaml",
    "version": "version",
}
"""What is run for each command, in a directory with the files below."""

CONFIG = """\
authserv_id: mail.example.nl
seal_secret: $here/seal.key
dns: {zone: $here/zone.yaml}
daemons:
  dkim-verify: {socket: "inet:8891@127.0.0.1", metrics: "127.0.0.1:9891"}
  dkim-sign:
    socket: inet:8892@127.0.0.1
    keys:
      - {domain: example.nl, selector: mail, file: $here/mail.private}
      - {domain: example.nl, selector: ed, file: $here/ed.private}
  dmarc-enforce: {kind: dmarc, mode: enforce, socket: "inet:8893@127.0.0.1"}
  greylist: {socket: "inet:10023@127.0.0.1", store: "sqlite:$here/greylist.sqlite"}
"""

ZONE: dict[str, list[dict[str, object]]] = {
    "example.nl": [{"TXT": "v=spf1 mx -all"}, {"MX": [10, "mail.example.nl"]}],
    "mail.example.nl": [{"A": "192.0.2.25"}, {"TXT": "v=spf1 a -all"}],
    "25.2.0.192.in-addr.arpa": [{"PTR": "host25.example.net"}],
    "_dmarc.example.nl": [{"TXT": "v=DMARC1; p=quarantine; sp=reject; rua=mailto:dmarc@example.nl"}],
    "news.example.nl": [{"A": "192.0.2.26"}],
}

MESSAGE = """\
From: Anna <anna@example.nl>
To: bert@example.org
Subject: an ordinary message
Date: Tue, 14 Nov 2023 22:13:20 +0000
Message-ID: <1@example.nl>

Hello Bert.
"""


def main() -> None:
    """Write the page."""
    TARGET.write_text(page())


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    with _site() as site:
        for name in COMMANDS:
            parts.append("\n".join(_section(command_of(name), site)))
    return "\n".join(parts)


# -- one command


def _section(command: Command, site: Path) -> Iterator[str]:
    name = command.name
    module = module_of(name)
    yield f"## gatepost {name}"
    yield ""
    yield f"{command.purpose[0].upper()}{command.purpose[1:]}."
    yield ""
    yield from _block(_usage(f"gatepost {name}", command))
    for each in command.actions or (command,):
        if each is not command:
            yield f"### gatepost {name} {each.name}"
            yield ""
            yield f"{each.purpose[0].upper()}{each.purpose[1:]}."
            yield ""
        yield from _table(each)
    yield "Examples:"
    yield ""
    yield from _block(textwrap.dedent("  " + module.EXAMPLE))
    yield f"Exit status: {module.EXIT_STATUS}."
    yield ""
    if name in SHOWN:
        yield "What it prints:"
        yield ""
        yield from _block(f"$ gatepost {SHOWN[name]}\n{_output(SHOWN[name], site)}")


def _usage(words: str, command: Command) -> str:
    if command.actions:
        return "\n".join(_usage(f"{words} {each.name}", each) for each in command.actions)
    parts = [f"{words} [options]" if command.options else words]
    for each in command.arguments:
        text = f"{each.name}…" if each.repeated else each.name
        parts.append(text if each.required else f"[{text}]")
    return " ".join(parts)


def _table(command: Command) -> Iterator[str]:
    rows = [each for each in (*command.arguments, *command.options) if "--help" not in each.flags]
    if not rows:
        return
    yield "| argument | meaning |"
    yield "| --- | --- |"
    for each in rows:
        yield f"| {_cell(_named(each))} | {_escaped(each.help)} |"
    yield ""


def _named(argument: Argument) -> str:
    if not argument.flags:
        return argument.name
    return f"{argument.flags[-1]} {argument.name}".strip()


def _cell(text: str) -> str:
    return f"`{_escaped(text)}`"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _block(text: str) -> list[str]:
    return [*(f"    {line}".rstrip() for line in text.rstrip("\n").split("\n")), ""]


# -- what it prints


@contextlib.contextmanager
def _site() -> Iterator[Path]:
    """A directory with a configuration, keys, a zone and a message; the current one while it is there."""
    before = Path.cwd()
    # Lines that name it are broken before its name is masked, so that it is as long wherever TMPDIR points.
    with tempfile.TemporaryDirectory(prefix="gatepost-", dir="/tmp") as name:
        here = Path(name)
        os.chdir(here)
        try:
            _fill(here)
            yield here
        finally:
            os.chdir(before)


def _fill(here: Path) -> None:
    zone = dict(ZONE)
    for selector, source in (("mail", "example.nl-rsa.pem"), ("ed", "example.nl-ed25519.pem")):
        file = here / f"{selector}.private"
        file.write_bytes((KEYS / source).read_bytes())
        file.chmod(0o600)
        key = load_private_key(file, KeyRules())
        zone[f"{selector}._domainkey.example.nl"] = [{"TXT": record_text(key.public_key())}]
    (here / "zone.yaml").write_text(json.dumps(zone))
    (here / "gatepost.yaml").write_text(CONFIG.replace("$here", str(here)))
    (here / "message.eml").write_text(MESSAGE)
    (here / "postgrey").write_text('POSTGREY_OPTS="--inet=10023 --delay=60 --privacy"\n')
    asyncio.run(_remember(here / "gatepost.yaml"))
    (here / "sign.session").write_bytes(next((ROOT / "tests/sessions/sign").glob("*.session")).read_bytes())
    (here / "signed.eml").write_bytes(_run("sign message.eml --config gatepost.yaml")[0])


async def _remember(config: Path) -> None:
    """Make the greylist's store, as the daemon does."""
    settings = load(config).daemons["greylist"]
    assert isinstance(settings, Greylist)
    store = make_store(settings, Logger(level="error"))
    await store.tend(0.0)
    await store.close()


def _output(line: str, site: Path) -> str:
    """What the command says on both streams, without what differs from run to run."""
    line = line.replace(PLACE, str(site))
    out, err = _in_a_process(line) if line.split()[0] in ("run", "record") else _run(line)
    return _masked((err + out).decode(), site)


def _run(line: str) -> tuple[bytes, bytes]:
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        gatepost(shlex.split(line))
    written = []
    for stream in (out, err):
        stream.flush()
        assert isinstance(stream.buffer, io.BytesIO)
        written.append(stream.buffer.getvalue())
    return written[0], written[1]


def _in_a_process(line: str) -> tuple[bytes, bytes]:
    """The first line of what has its own way of writing, and may go on for ever."""
    command = [sys.executable, "-m", "gatepost", *shlex.split(line)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment) as running:
        assert running.stderr is not None
        first = running.stderr.readline()
        running.kill()
    return b"", first


_MASKS = [
    (re.compile(r"(?<==)(MII[A-Za-z0-9+/]{9})[A-Za-z0-9+/]{30,}={0,2}"), r"\1…"),
    (
        re.compile(r"(?<=[=\s\"])([A-Za-z0-9+/]{6})[A-Za-z0-9+/]{36,}={0,2}(?:\s+[A-Za-z0-9+/]{8,}={0,2})*"),
        "…",
    ),
    (re.compile(r"\bt=\d{10}"), "t=1795220000"),
    (re.compile(r"\bid=\d{14}"), "id=20261121000000"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"), "2026-11-21 00:00:00 UTC"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"), "2026-11-21T00:00:00.000+00:00"),
    (re.compile(r"gatepost/([a-z-]+)\[\d+\]"), r"gatepost/\1[1234]"),
]


def _masked(text: str, site: Path) -> str:
    text = text.replace(str(site), PLACE)
    for pattern, instead in _MASKS:
        text = pattern.sub(instead, text)
    return text


if __name__ == "__main__":
    main()
