"""The dashboard: as Grafana 10 imports it, and every query of it asks for what there is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tests.harness.waiting import wait_for
from tests.monitoring.prometheus import Prometheus
from tests.monitoring.site import Site

DASHBOARD: Mapping[str, Any] = json.loads(
    (Path(__file__).parents[2] / "conf" / "grafana" / "gatepost.json").read_text()
)
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

_METRIC = re.compile(r"\b(?:up|(?:gatepost|process)_\w+)\b")
_MATCHED = re.compile(r"(\w+)\{([^}]*)\}")
_BY = re.compile(r"\bby \(([^)]*)\)")


def panels() -> list[Mapping[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> Iterator[str]:
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"]


def test_the_data_source_is_the_users_choice() -> None:
    [variable] = DASHBOARD["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == (
        "datasource",
        "datasource",
        "prometheus",
    )
    for panel in panels():
        assert panel["datasource"] == SOURCE
        assert all(target["datasource"] == SOURCE for target in panel["targets"])


def test_grafana_10_knows_all_of_it() -> None:
    assert DASHBOARD["schemaVersion"] <= 38  # that of 10.0
    assert "id" not in DASHBOARD
    assert {panel["type"] for panel in panels()} == {"stat", "timeseries"}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_there_is_a_row_for_every_daemon_and_no_panel_lies_on_another() -> None:
    rows = " ".join(panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row")
    for name in ("dkim-verify", "dkim-sign", "dmarc-enforce", "dmarc-stamp", "spf", "greylist", "DNS"):
        assert name in rows
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_every_query_names_metrics_and_labels_that_there_are(site: Site) -> None:
    labels: dict[str, set[str]] = {"up": {"job", "instance", "daemon"}}
    for families in site.families().values():
        for family in families:
            for sample in family.samples:
                labels.setdefault(sample.name, {"job", "instance", "daemon"}).update(sample.labels)
    for expression in queries():
        names = _METRIC.findall(expression)
        assert names, expression
        assert set(names) <= set(labels), expression
        grouped = {label.strip() for group in _BY.findall(expression) for label in group.split(",")}
        assert all(grouped <= labels[name] for name in names), expression
        for name, matchers in _MATCHED.findall(expression):
            for matcher in re.findall(r"(\w+)(?:=~|!=|=)\"", matchers):
                assert matcher in labels[name], expression


def test_every_query_is_answered(prometheus: Prometheus) -> None:
    for expression in queries():
        asked = expression.replace("$__rate_interval", "5m")
        # A rate takes two scrapes.
        wait_for(partial(prometheus.query, asked), f"an answer to {expression}")
