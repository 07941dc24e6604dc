from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest, values

from gatepost.metrics import Metrics, forget_worker, share_through, shared_collector


def page(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


def test_counts() -> None:
    metrics = Metrics("dkim-verify")
    metrics.verdict("accept").inc()
    metrics.result("dkim", "pass").inc(2)
    metrics.error("internal")
    metrics.query("TXT", "found", 0.02)
    metrics.cache(True)
    metrics.cache(False)
    metrics.headers_stripped.inc()
    metrics.connections.inc()
    metrics.message_seconds.observe(0.0004)
    shown = page(metrics)
    for sample in (
        'gatepost_messages_total{daemon="dkim-verify",verdict="accept"} 1.0',
        'gatepost_results_total{daemon="dkim-verify",method="dkim",result="pass"} 2.0',
        'gatepost_errors_total{daemon="dkim-verify",kind="internal"} 1.0',
        'gatepost_dns_queries_total{daemon="dkim-verify",outcome="found",type="TXT"} 1.0',
        'gatepost_dns_seconds_count{daemon="dkim-verify"} 1.0',
        'gatepost_dns_cache_hits_total{daemon="dkim-verify"} 1.0',
        'gatepost_dns_cache_misses_total{daemon="dkim-verify"} 1.0',
        'gatepost_headers_stripped_total{daemon="dkim-verify"} 1.0',
        'gatepost_connections{daemon="dkim-verify"} 1.0',
        'gatepost_message_seconds_bucket{daemon="dkim-verify",le="0.0005"} 1.0',
    ):
        assert sample in shown


def test_children_are_looked_up_once() -> None:
    metrics = Metrics("x")
    assert metrics.verdict("accept") is metrics.verdict("accept")
    assert metrics.result("dkim", "pass") is metrics.result("dkim", "pass")


@pytest.mark.parametrize("text", ["a b", "x\n", "", "é", "x" * 41, 'a"}'])
def test_a_strangers_text_is_no_label(text: str) -> None:
    metrics = Metrics("x")
    metrics.verdict(text).inc()
    metrics.result(text, text).inc()
    metrics.error(text)
    metrics.query(text, text, 0)
    shown = page(metrics)
    assert shown.count('"other"') >= 6
    assert text == "" or f'="{text}"' not in shown


def test_labels_have_a_bound() -> None:
    metrics = Metrics("x")
    for number in range(1000):
        metrics.verdict(f"v{number}").inc()
        metrics.query(f"t{number}", f"o{number}", 0)
    lines = page(metrics).splitlines()
    assert sum(line.startswith("gatepost_messages_total{") for line in lines) <= 65
    assert sum(line.startswith("gatepost_dns_queries_total{") for line in lines) <= 65


def test_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    for slot in (0, 1, 0):  # the third takes over from the first
        share_through(tmp_path, slot)
        metrics = Metrics("x")
        metrics.verdict("accept").inc()
        metrics.connections.inc()
        values.ValueClass.close_all_files()
        if slot == 0:
            forget_worker(tmp_path, 0)
    registry = CollectorRegistry()
    registry.register(shared_collector(tmp_path))
    shown = generate_latest(registry).decode()
    assert 'gatepost_messages_total{daemon="x",verdict="accept"} 3.0' in shown
    assert 'gatepost_connections{daemon="x"} 1.0' in shown
    # A file a kind and slot, however many processes there were.
    assert sorted(file for file in os.listdir(tmp_path) if file.startswith("counter")) == [
        "counter_0.db",
        "counter_1.db",
    ]


def test_the_room_for_shared_metrics_is_taken_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that is first touched on a full disk would kill the process."""
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    share_through(tmp_path, 0)
    Metrics("x")
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == [
        "counter_0.db",
        "gauge_livemostrecent_0.db",
        "gauge_livesum_0.db",
        "histogram_0.db",
    ]
    assert all(file.stat().st_blocks * 512 >= file.stat().st_size for file in files)
    values.ValueClass.close_all_files()


def test_without_room_nothing_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = values.ValueClass
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    monkeypatch.setattr(os, "posix_fallocate", full_disk)
    with pytest.raises(OSError, match="No space left"):
        share_through(tmp_path, 0)
    assert values.ValueClass is before
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")
