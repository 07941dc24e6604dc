"""OpenDKIM and OpenDMARC as another server's: with plain files, and the machine's DNS."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path

from tests.harness.ports import LOOPBACK, listening
from tests.harness.process import Process
from tests.pipeline.machine import rewrite

# An address that no client ever has: with it as the only one of a list, nobody is on the list.
_NOBODY = "192.0.2.255"


class Peer(Process):
    """One of them on 127.0.0.1:*port*, with *settings* as its configuration beside what both need."""

    def __init__(self, name: str, directory: Path, port: int, settings: Mapping[str, str]) -> None:
        self.milter = f"inet:{LOOPBACK}:{port}"
        common = {"Socket": f"inet:{port}@{LOOPBACK}", "Background": "no", "Syslog": "no"}
        lines = "".join(f"{key} {value}\n" for key, value in {**common, **settings}.items())
        file = rewrite(directory / f"{name}.{port}.conf", lines)
        option = "-x" if name == "opendkim" else "-c"
        super().__init__(
            [name, "-f", option, str(file)],
            directory / f"{name}.{port}.log",
            ready=lambda: listening(port),
        )

    def stop(self, timeout: float = 0.0) -> int | None:
        """End it at once: libmilter would take five seconds over a SIGTERM, and there is nothing to save."""
        if self.status is None:
            self.signal(signal.SIGKILL)
        return super().stop(timeout)


def verifier(directory: Path, port: int, authserv_id: str) -> Peer:
    """An OpenDKIM that verifies everyone's mail."""
    nobody = rewrite(directory / "nobody", f"{_NOBODY}\n")
    settings = {
        "Mode": "v",
        "AuthservID": authserv_id,
        "AlwaysAddARHeader": "yes",
        "InternalHosts": str(nobody),
        "Nameservers": LOOPBACK,
    }
    return Peer("opendkim", directory, port, settings)


def judge(directory: Path, port: int, authserv_id: str) -> Peer:
    """An OpenDMARC that checks SPF by itself, believes the verifier on DKIM, and refuses what fails."""
    nobody = rewrite(directory / "nobody", f"{_NOBODY}\n")
    settings = {
        "AuthservID": authserv_id,
        "TrustedAuthservIDs": authserv_id,
        "IgnoreHosts": str(nobody),
        "SPFIgnoreResults": "yes",
        "SPFSelfValidate": "yes",
        "RejectFailures": "yes",
    }
    return Peer("opendmarc", directory, port, settings)
