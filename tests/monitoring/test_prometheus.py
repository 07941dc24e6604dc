"""What we ship for Prometheus: read by its own tools, held to scenes, and fed by real daemons."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness.units import NAMES
from tests.harness.waiting import wait_for
from tests.monitoring.prometheus import CONF, RULES, Prometheus
from tests.monitoring.site import FRIEND, Site

pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="there is no promtool here (package prometheus)"
)


def promtool(*arguments: str, content: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", *arguments], input=content, capture_output=True, text=True, timeout=120, check=False
    )


def alert_rules() -> dict[str, Mapping[str, Any]]:
    groups = yaml.safe_load((CONF / "gatepost.alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def recorded() -> set[str]:
    groups = yaml.safe_load((CONF / "gatepost.rules.yml").read_text())["groups"]
    return {rule["record"] for group in groups for rule in group["rules"]}


def expressions() -> list[str]:
    return [
        rule["expr"]
        for name in RULES
        for group in yaml.safe_load((CONF / name).read_text())["groups"]
        for rule in group["rules"]
    ]


def test_the_configuration_and_the_rules_are_valid() -> None:
    for arguments in (("config", "prometheus.yml"), ("rules", *RULES)):
        checked = promtool("check", arguments[0], *(str(CONF / file) for file in arguments[1:]))
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert "FAILED" not in checked.stdout


@pytest.mark.parametrize("name", NAMES)
def test_the_metrics_are_as_they_should_be(site: Site, name: str) -> None:
    checked = promtool("check", "metrics", content=site.scrape(name))
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_rules_ask_for_what_there_is(site: Site) -> None:
    known = site.sample_names() | recorded() | {"up"}
    for expression in expressions():
        names = set(re.findall(r"\b(?:[a-z_]+:)*(?:gatepost|process)_[a-z0-9_]+(?::[a-z0-9_]+)*", expression))
        assert names <= known, expression
    # Else one would be worked out for nobody, and the next tests have to be about all.
    assert set(FIRING) == set(alert_rules())


WEB = '{instance="mx", daemon="dkim-verify"%s}'


def series(metric: str, *labels: str) -> str:
    return metric + WEB % "".join(f", {label}" for label in labels)


# By alert: the series under which it fires, and those under which it does not; after two hours, a value a minute.
FIRING: Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]] = {
    "GatepostDown": (
        {'up{job="gatepost", instance="mx", daemon="dkim-verify"}': "1x110 0x10"},
        {'up{job="gatepost", instance="mx", daemon="dkim-verify"}': "1x119 0"},
    ),
    "GatepostNoWorkers": (
        {series("gatepost_workers"): "1x100 0x20"},
        {series("gatepost_workers"): "1x120"},
    ),
    "GatepostWorkersRestarting": (
        {series("gatepost_worker_restarts_total"): "0x110 0+1x10"},
        {series("gatepost_worker_restarts_total"): "0x118 1 1"},
    ),
    "GatepostInternalErrors": (
        {series("gatepost_errors_total", 'kind="internal"'): "0x118 1 1"},
        {series("gatepost_errors_total", 'kind="protocol"'): "0+1x120"},
    ),
    "GatepostSigningFailing": (
        {series("gatepost_errors_total", 'kind="signing"'): "0x118 1 1"},
        {series("gatepost_errors_total", 'kind="signing"'): "5x120"},
    ),
    "GatepostPuttingOff": (
        {
            series("gatepost_messages_total", 'verdict="accept"'): "0+80x120",
            series("gatepost_messages_total", 'verdict="tempfail"'): "0+20x120",
        },
        {
            series("gatepost_messages_total", 'verdict="accept"'): "0+95x120",
            series("gatepost_messages_total", 'verdict="tempfail"'): "0+5x120",
        },
    ),
    "GatepostTemporaryErrors": (
        {
            series("gatepost_results_total", 'method="dkim"', 'result="pass"'): "0+80x120",
            series("gatepost_results_total", 'method="dkim"', 'result="temperror"'): "0+20x120",
        },
        {
            series("gatepost_results_total", 'method="dkim"', 'result="fail"'): "0+80x120",
            series("gatepost_results_total", 'method="dkim"', 'result="temperror"'): "0+2x120",
        },
    ),
    "GatepostDnsFailing": (
        {
            series("gatepost_dns_queries_total", 'type="TXT"', 'outcome="found"'): "0+60x120",
            series("gatepost_dns_queries_total", 'type="TXT"', 'outcome="timeout"'): "0+20x120",
            series("gatepost_dns_queries_total", 'type="A"', 'outcome="servfail"'): "0+20x120",
        },
        {
            series("gatepost_dns_queries_total", 'type="TXT"', 'outcome="found"'): "0+50x120",
            series("gatepost_dns_queries_total", 'type="TXT"', 'outcome="nxdomain"'): "0+50x120",
        },
    ),
    "GatepostSlow": (
        {
            series("gatepost_message_seconds_bucket", 'le="3.0"'): "0+60x120",
            series("gatepost_message_seconds_bucket", 'le="10.0"'): "0+100x120",
            series("gatepost_message_seconds_bucket", 'le="+Inf"'): "0+100x120",
        },
        {
            series("gatepost_message_seconds_bucket", 'le="3.0"'): "0+99x120",
            series("gatepost_message_seconds_bucket", 'le="10.0"'): "0+100x120",
            series("gatepost_message_seconds_bucket", 'le="+Inf"'): "0+100x120",
        },
    ),
    "GatepostReloadFailed": (
        {series("gatepost_config_reload_last_successful"): "1x100 0x20"},
        {series("gatepost_config_reload_last_successful"): "0x100 1x20"},
    ),
    "GatepostKeyOld": (
        {series("gatepost_key_age_seconds", 'domain="example.nl"', 'selector="mail"'): f"{401 * 86400}x120"},
        {series("gatepost_key_age_seconds", 'domain="example.nl"', 'selector="mail"'): f"{399 * 86400}x120"},
    ),
    "GatepostGreylistStoreDown": (
        {series("gatepost_greylist_store_errors_total"): "0+1x120"},
        {series("gatepost_greylist_store_errors_total"): "0x60 1x60"},
    ),
    "GatepostDmarcRejectSurge": (
        {
            'gatepost_messages_total{instance="mx", daemon="dmarc-enforce", verdict="reject"}': (
                "0+0x1440 0+60x60"
            )
        },
        {'gatepost_messages_total{instance="mx", daemon="dmarc-enforce", verdict="reject"}': "0+60x1500"},
    ),
    "GatepostDescriptorsShort": (
        {
            series("gatepost_worker_open_fds", 'worker="0"'): "900x120",
            series("process_max_fds"): "1000x120",
        },
        {
            series("gatepost_worker_open_fds", 'worker="0"'): "100x120",
            series("process_max_fds"): "1000x120",
        },
    ),
}


def scene(alert: str, given: Mapping[str, str], fires: bool) -> Mapping[str, Any]:
    """One test of promtool's: after the last value, is the alert there?"""
    at = "1500m" if "1440" in str(given) or "1500" in str(given) else "120m"
    return {
        "interval": "1m",
        "name": f"{alert} {'fires' if fires else 'is quiet'}",
        "input_series": [{"series": name, "values": values} for name, values in given.items()],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)',
                "eval_time": at,
                "exp_samples": [{"labels": "{}", "value": int(fires)}],
            },
            {
                "expr": 'count(ALERTS{alertstate="firing"}) or vector(0)',
                "eval_time": at,
                "exp_samples": [{"labels": "{}", "value": int(fires)}],
            },
        ],
    }


@pytest.mark.parametrize("alert", FIRING)
def test_an_alert_fires_when_it_should_and_else_not(tmp_path: Path, alert: str) -> None:
    worse, well = FIRING[alert]
    file = tmp_path / "scenes.yml"
    content = {
        "rule_files": [str(CONF / name) for name in RULES],
        "evaluation_interval": "1m",
        "tests": [scene(alert, worse, True), scene(alert, well, False)],
    }
    file.write_text(yaml.safe_dump(content))
    tested = promtool("test", "rules", str(file))
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize("alert", FIRING)
def test_an_alerts_texts_can_be_filled_in(tmp_path: Path, alert: str) -> None:
    """promtool shows the alert that it was told not to expect."""
    worse, _ = FIRING[alert]
    file = tmp_path / "scenes.yml"
    test = {**scene(alert, worse, True), "promql_expr_test": []}
    at = scene(alert, worse, True)["promql_expr_test"][0]["eval_time"]
    test["alert_rule_test"] = [{"eval_time": at, "alertname": alert, "exp_alerts": []}]
    file.write_text(yaml.safe_dump({"rule_files": [str(CONF / name) for name in RULES], "tests": [test]}))
    shown = promtool("test", "rules", str(file)).stderr
    shown = shown.partition("got:")[2]
    assert 'severity="' in shown
    for key in ("summary", "description"):
        assert f"{key}=" in shown
    assert "<" not in shown, shown


def test_prometheus_gets_all_from_every_daemon(site: Site, prometheus: Prometheus) -> None:
    assert {each["metric"]["daemon"] for each in prometheus.query("up == 1")} == set(NAMES)
    assert [each["metric"]["daemon"] for each in prometheus.query("up == 0")] == ["gone"]
    stored = set(prometheus.get("label/__name__/values"))
    assert site.sample_names() <= stored
    # Nothing is called daemon twice.
    assert prometheus.query('{exported_daemon!=""}') == []
    [rejected] = prometheus.query('gatepost_messages_total{daemon="dmarc-enforce", verdict="reject"}')
    assert float(rejected["value"][1]) >= 2


def test_every_rule_can_be_worked_out(site: Site, prometheus: Prometheus) -> None:
    def evaluated() -> list[Mapping[str, Any]]:
        groups = prometheus.get("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return rules if all(rule["health"] != "unknown" for rule in rules) else []

    rules = wait_for(evaluated, "the first evaluation")
    assert [rule["lastError"] for rule in rules if rule["health"] != "ok"] == []
    names = [rule["name"] for rule in rules if rule["type"] == "recording"]
    numbers = itertools.count()

    def worked_out() -> bool:
        # Some are worked out only while questions are asked.
        site.policy("spf", client_address=FRIEND, sender=f"a@d{next(numbers)}.example")
        return all(prometheus.query(name) for name in names)

    wait_for(worked_out, "a value by each rule")

    def pending() -> list[Mapping[str, Any]]:
        return [each for each in prometheus.get("alerts")["alerts"] if each["labels"]["daemon"] == "gone"]

    [alert] = wait_for(pending, "the alert about the one that is gone")
    assert alert["labels"]["alertname"] == "GatepostDown"
    assert alert["annotations"]["summary"] == "gone does not answer"
