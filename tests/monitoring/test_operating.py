"""docs/metrics.md and docs/operating.md tell of every metric, alert and socket that there is, and of no other."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tests.harness.units import NAMES, Unit
from tests.monitoring.site import Site

ROOT = Path(__file__).parents[2]
PAGES = "".join((ROOT / "docs" / name).read_text() for name in ("metrics.md", "operating.md"))


def rows(heading: str) -> list[list[str]]:
    """The rows of the last table below a heading."""
    section = PAGES.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_metric_is_told_of_with_its_kind_and_labels(site: Site) -> None:
    told = {}
    for metric, kind, meaning in rows("Metrics"):
        name, _, labels = metric.rstrip("}").partition("{")
        told[name] = (kind, {label for label in labels.split(",") if label})
        assert len(meaning) > 10
    found = {}
    for name, families in site.families().items():
        borne = {label for each in families for sample in each.samples for label in sample.labels}
        found[name] = (families[0].type, borne - {"daemon", "le"})
    assert told == found


def test_our_own_metrics_name_their_daemon(site: Site) -> None:
    for name, families in site.families().items():
        for sample in (sample for each in families for sample in each.samples):
            assert ("daemon" in sample.labels) == name.startswith("gatepost_"), name


def test_every_alert_is_told_of_with_its_severity() -> None:
    groups = yaml.safe_load((ROOT / "conf" / "prometheus" / "gatepost.alerts.yml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    told = {name: severity for name, severity, _ in rows("Alerts")}
    assert told == {rule["alert"]: rule["labels"]["severity"] for rule in rules}


def test_every_socket_is_told_of_where_it_is() -> None:
    told = {
        name: re.split(r"[`,]", place)[0] for name, place in rows("Units") if name.startswith("gatepost@")
    }
    assert told == {
        f"gatepost@{name}": Unit(f"gatepost@{name}.socket").one("Socket", "ListenStream") for name in NAMES
    }
