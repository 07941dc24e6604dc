"""The daemons of gatepost.yaml and dmarc.yaml, with all that moves held still: clock, keys, DNS, the seals' secret."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from string import Template
from typing import Literal

from gatepost.cli.prepare import prepare
from gatepost.config.host import Host
from gatepost.config.load import parse
from gatepost.log import Logger
from gatepost.metrics import Metrics
from gatepost.service.daemon import Worker
from milters.assembly import MilterDaemon

HERE = Path(__file__).parent
NOW = 1_795_255_200
"""The daemons' time: Sat, 21 Nov 2026 10:00:00 +0000."""
SECRET = b"The tests' own secret, 40 octets of it.\n"

Engine = Literal["asyncio", "libmilter"]


def configuration(name: str) -> Path:
    """The file that names the daemon called *name*."""
    return HERE / ("dmarc.yaml" if name.startswith("dmarc") else "gatepost.yaml")


def filled_in(file: Path, scratch: Path, here: Path | None = None) -> str:
    """The text of such a file. *scratch* is for the seals' secret, which is made, and for what daemons remember.

    *here* is where the file's own directory is not to be ``$here``.
    """
    secret = scratch / "seal.key"
    if not secret.exists():
        secret.touch(mode=0o600)
        secret.write_bytes(SECRET)
    return Template(file.read_text()).substitute(here=here or file.parent, scratch=scratch)


def daemon(name: str, scratch: Path, engine: Engine = "asyncio") -> MilterDaemon:
    """The daemon called *name*; *scratch* is a directory for its secret."""
    file = configuration(name)
    config = parse(filled_in(file, scratch), file.name, Host()).config
    prepared = prepare(config, name)
    assert isinstance(prepared, MilterDaemon)
    settings = prepared.settings.model_copy(update={"engine": engine})
    return replace(prepared, settings=settings, clock=lambda: NOW)


def worker(prepared: MilterDaemon) -> Worker:
    """Its serving side, for the running event loop."""
    return prepared.worker(Logger(level="error", daemon=prepared.name), Metrics(prepared.name))


def listen(path: Path) -> socket.socket:
    """A listening unix socket."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(128)
    return listener
