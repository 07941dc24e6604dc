"""Processes that are killed with nobody left to replace them at once: mail waits, and is not lost."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from tests.e2e.mx import PATIENT, Mx, holding
from tests.e2e.support import Traffic, message, zone_of
from tests.harness.keys import rsa_key
from tests.harness.waiting import PATIENCE, wait_for
from tests.unit.docs.fault_table import shows


def test_all_workers_at_once(tmp_path: Path) -> None:
    with Mx(tmp_path, {"workers": 2}) as mx:
        with Traffic(mx.send) as traffic:
            traffic.more(10)
            before = mx.workers()
            for worker in before:
                worker.kill()
            wait_for(lambda: len({*mx.workers()} - {*before}) == 2, "two new workers")
            traffic.more(20)
        mx.all_is_well(traffic)
        shows("All workers are killed at once", mx.daemon.log(), traffic.put_off)


def test_the_supervisor_alone(tmp_path: Path) -> None:
    """Its workers finish the message in hand and leave; whoever looks after services starts another."""
    slow = rsa_key("slow.example.org")
    section = {"workers": 2, "drain_timeout": f"{PATIENCE:g}s"}
    with Mx(tmp_path, section, common={"dns": PATIENT}) as mx, ThreadPoolExecutor(1) as pool:
        mx.dns.zone = {**zone_of([mx.key]), slow.name: [{"TXT": slow.record}, "HELD"]}
        signed = slow.sign(message("a@slow.example.org", "bert@example.nl"))
        attempt = pool.submit(mx.send, "slow", signed)
        wait_for(lambda: mx.dns.count(slow.name), "the question for the slow key")
        workers = mx.workers()
        [busy] = [worker for worker in workers if holding(worker, mx.daemon.port)]
        mx.daemon.process.signal(signal.SIGKILL)
        mx.daemon.process.wait()
        with Traffic(mx.send) as traffic:
            wait_for(lambda: traffic.put_off, "mail that is put off")
            mx.dns.release()
            assert attempt.result(PATIENCE).positive
            _, alive = psutil.wait_procs([busy, *workers], timeout=PATIENCE)
            assert not alive
            mx.daemon.stop()
            mx.daemon.start()
            traffic.more(20)
        assert "dkim=pass" in mx.result("slow")
        mx.all_is_well(traffic)
        shows("The supervisor is killed, its workers not", mx.daemon.log(), traffic.put_off)
