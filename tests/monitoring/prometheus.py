"""A real Prometheus, with what we ship for it."""

from __future__ import annotations

import json
import shutil
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.harness.ports import LOOPBACK, free_port
from tests.harness.process import Process
from tests.harness.units import NAMES
from tests.harness.waiting import PATIENCE
from tests.monitoring.site import Site

CONF = Path(__file__).parents[2] / "conf" / "prometheus"
RULES = ("gatepost.rules.yml", "gatepost.alerts.yml")


class Prometheus:
    """A real one, which scrapes the site by the configuration that we ship, only oftener."""

    def __init__(self, directory: Path, site: Site) -> None:
        text = (CONF / "prometheus.yml").read_text()
        for index, name in enumerate(NAMES):
            shipped = f"127.0.0.1:{9891 + index}"
            assert f'targets: ["{shipped}"], labels: {{daemon: {name}}}' in text
            text = text.replace(shipped, f"{LOOPBACK}:{site.gatepost[name].metrics_port}")
        configuration = yaml.safe_load(text)
        configuration["global"] = {
            "scrape_interval": "1s",
            "scrape_timeout": "1s",
            "evaluation_interval": "1s",
        }
        nobody = {"targets": [f"{LOOPBACK}:{free_port()}"], "labels": {"daemon": "gone"}}
        configuration["scrape_configs"][0]["static_configs"].append(nobody)
        for name in RULES:
            shutil.copy(CONF / name, directory)
        file = directory / "prometheus.yml"
        file.write_text(yaml.safe_dump(configuration))
        self._port = free_port()
        self.process = Process(
            [
                "prometheus",
                f"--config.file={file}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address={LOOPBACK}:{self._port}",
            ],
            directory / "log",
            ready=lambda: "Server is ready to receive web requests" in self.process.output(),
            timeout=PATIENCE,
        )

    def get(self, path: str, **parameters: str) -> Any:
        """What the API answers."""
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(
            f"http://{LOOPBACK}:{self._port}/api/v1/{path}?{query}", timeout=PATIENCE
        ) as page:
            return json.load(page)["data"]

    def query(self, expression: str) -> Sequence[Mapping[str, Any]]:
        """The series of an instant query."""
        result: Sequence[Mapping[str, Any]] = self.get("query", query=expression)["result"]
        return result
