"""The whole daemon, as a process with two workers, on a socket."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.harness.daemon import Daemon, Installation
from tests.harness.policy_client import ClientError, PolicyClient
from tests.harness.ports import LOOPBACK
from tests.harness.waiting import wait_for


def client(daemon: Daemon) -> PolicyClient:
    return PolicyClient((LOOPBACK, daemon.port))


def ask(daemon: Daemon, **attributes: str) -> str:
    connection = client(daemon)
    try:
        return connection.ask(attributes)
    finally:
        connection.socket.close()


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command(place: Installation, *words: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "gatepost", "greylist", *words, "--json", "--config", str(place.file)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_greylisting_from_end_to_end(tmp_path: Path) -> None:
    zone = tmp_path / "zone"
    zone.write_text('pool.example: [{TXT: "v=spf1 ip4:192.0.2.0/24 ip4:198.51.100.0/24 -all"}]\n')
    options = {
        "delay": "1s", "workers": 2, "store": str(tmp_path / "greylist.sqlite"),
        "allow": {"recipients": ["postmaster@"]},
    }  # fmt: skip
    with Installation(tmp_path / "site", {"greylist": options}, {"dns": {"zone": str(zone)}}) as place:
        daemon = place["greylist"]
        assert ask(daemon).startswith("DEFER_IF_PERMIT 4.2.0 Greylisted")
        assert ask(daemon, recipient="postmaster@example.nl") == "DUNNO"
        assert ask(daemon, sasl_username="anna") == "DUNNO"
        pool = {"sender": "news@pool.example"}
        assert ask(daemon, **pool, client_address="192.0.2.10").startswith("DEFER_IF_PERMIT")

        passed = wait_for(lambda: not_deferred(ask(daemon)), "the end of the delay")
        assert passed.startswith("PREPEND X-Greylist: delayed ")
        assert " by gatepost at mail.example.nl; " in passed
        again = wait_for(
            lambda: not_deferred(ask(daemon, **pool, client_address="198.51.100.77")),
            "the pool's other server",
        )
        assert again.startswith("PREPEND ")

        for worker in children(daemon.process.pid):
            os.kill(worker, signal.SIGKILL)
        assert wait_for(lambda: answered(daemon), "workers after a kill") == "DUNNO"

        shown = command(place, "show")["entries"]
        assert sorted((entry["origin"], entry["state"]) for entry in shown) == [
            ("192.0.2.0/24", "passed"),
            ("spf:pool.example", "passed"),
        ]
        assert command(place, "allow", "pool.example") == {"allowed": "spf:pool.example"}
        assert ask(daemon, sender="new@pool.example", client_address="198.51.100.5") == "DUNNO"

        counted = daemon.metrics()
        outcomes = {
            outcome: counted[f'gatepost_greylist_requests_total{{daemon="greylist",outcome="{outcome}"}}']
            for outcome in ("delayed", "login", "allowed_recipient", "pinned")
        }
        assert outcomes == {"delayed": 2, "login": 1, "allowed_recipient": 1, "pinned": 1}
        wait_for(
            lambda: 'gatepost_greylist_entries{daemon="greylist"}' in daemon.metrics(), "the gauge of entries"
        )
        assert "greylist=deferred" in daemon.log()
        assert daemon.stop() == 0
    assert not list(tmp_path.glob("*-wal"))


def not_deferred(action: str) -> str:
    return "" if action.startswith("DEFER_IF_PERMIT") else action


def answered(daemon: Daemon) -> str:
    try:
        return ask(daemon)
    except (OSError, ClientError):
        return ""
