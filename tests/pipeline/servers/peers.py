"""OpenDKIM and OpenDMARC as another server's: with plain files, and the machine's DNS."""

from __future__ import annotations

from pathlib import Path

from tests.harness.peer import NOBODY, Peer
from tests.harness.ports import LOOPBACK
from tests.pipeline.machine import rewrite


def verifier(directory: Path, port: int, authserv_id: str) -> Peer:
    """An OpenDKIM that verifies everyone's mail."""
    nobody = rewrite(directory / "nobody", f"{NOBODY}\n")
    settings = {
        "Mode": "v",
        "AuthservID": authserv_id,
        "AlwaysAddARHeader": "yes",
        "InternalHosts": str(nobody),
        "Nameservers": LOOPBACK,
    }
    return Peer("opendkim", directory, settings, port)


def judge(directory: Path, port: int, authserv_id: str) -> Peer:
    """An OpenDMARC that checks SPF by itself, believes the verifier on DKIM, and refuses what fails."""
    nobody = rewrite(directory / "nobody", f"{NOBODY}\n")
    settings = {
        "AuthservID": authserv_id,
        "TrustedAuthservIDs": authserv_id,
        "IgnoreHosts": str(nobody),
        "SPFIgnoreResults": "yes",
        "SPFSelfValidate": "yes",
        "RejectFailures": "yes",
    }
    return Peer("opendmarc", directory, settings, port)
