"""Our systemd units, read; and daemons started as systemd would start them from these.

There is no systemd here: what it does for a unit (specifiers, sockets as
descriptors 3 and up, the variables of sd_listen_fds(3) and sd_notify(3)) is
done by hand, from what stands in the unit files.
"""

from __future__ import annotations

import shlex
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.harness.daemon import Daemon

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "systemd"
NAMES = ("dkim-verify", "dkim-sign", "dmarc-enforce", "dmarc-stamp", "spf", "greylist")

_CONFIGURATION = "/etc/gatepost/gatepost.yaml"

# Descriptor 3 is the socket; the process that systemd starts keeps its number through exec.
_ACTIVATE = """\
import os, sys
descriptor, name, *command = sys.argv[1:]
os.dup2(int(descriptor), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": name}
if "WATCHDOG_USEC" in os.environ:
    os.environ["WATCHDOG_PID"] = str(os.getpid())
os.execvp(command[0], command)
"""


class Unit:
    """The unit *name* (``gatepost@spf.service``), drop-ins included.

    ``options`` maps SECTION and KEY to the values in their order; an empty
    assignment drops those before it, as for systemd.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        stem, _, suffix = name.partition(".")
        prefix, _, self.instance = stem.partition("@")
        file = UNITS / name
        if not file.exists():
            file = UNITS / f"{prefix}@.{suffix}"
        self.files = [file, *sorted((UNITS / f"{name}.d").glob("*.conf"))]
        self.options: dict[tuple[str, str], list[str]] = {}
        for each in self.files:
            self._read(each.read_text())

    def _read(self, text: str) -> None:
        section = ""
        for line in text.splitlines():
            line = line.strip()
            if line.startswith("[") and line.endswith("]"):
                section = line[1:-1]
            elif line and not line.startswith(("#", ";")):
                key, _, value = line.partition("=")
                values = self.options.setdefault((section, key), [])
                if value:
                    values.append(value.replace("%i", self.instance))
                else:
                    values.clear()

    def all(self, section: str, key: str) -> list[str]:
        """Every value of an option."""
        return self.options.get((section, key), [])

    def one(self, section: str, key: str) -> str:
        """The value of an option that is there once, or the last."""
        return self.all(section, key)[-1]


def seconds(text: str) -> float:
    """A time such as ``60s``."""
    return float(text.removesuffix("s"))


def start_from_unit(daemon: Daemon, listener: socket.socket, runtime: Path) -> Daemon:
    """Have *daemon* started by its unit's ExecStart, on *listener*, with *runtime* as its RuntimeDirectory."""
    service, unit = Unit(f"gatepost@{daemon.name}.service"), Unit(f"gatepost@{daemon.name}.socket")
    program, *arguments = shlex.split(service.one("Service", "ExecStart"))
    if program != "gatepost" or _CONFIGURATION not in arguments:
        raise AssertionError(f"what {service.name} starts is not gatepost with {_CONFIGURATION}")
    file = str(daemon.file)
    command = [
        sys.executable,
        "-m",
        "gatepost",
        *(file if word == _CONFIGURATION else word for word in arguments),
    ]
    runtime.mkdir(exist_ok=True)
    process = daemon.process
    process.descriptors = (listener.fileno(),)
    name = unit.one("Socket", "FileDescriptorName")
    process.command = [sys.executable, "-c", _ACTIVATE, str(listener.fileno()), name, *command]
    process.environment = {**process.environment, **_variables(service, runtime)}
    return daemon


def _variables(service: Unit, runtime: Path) -> Mapping[str, str]:
    watchdog = seconds(service.one("Service", "WatchdogSec"))
    return {"WATCHDOG_USEC": str(int(watchdog * 1_000_000)), "RUNTIME_DIRECTORY": str(runtime)}
