"""Prometheus with the shipped files, which scrapes what they name; only oftener."""

from __future__ import annotations

import json
import shutil
import urllib.parse
import urllib.request
from pathlib import Path

from tests.harness.process import Process
from tests.pipeline.machine import rewrite

CONF = Path(__file__).parents[3] / "conf" / "prometheus"
PORT = 9090


class Prometheus(Process):
    """On 127.0.0.1:9090, with its data below *directory*."""

    def __init__(self, directory: Path) -> None:
        etc = Path("/etc/prometheus")
        text = (CONF / "prometheus.yml").read_text()
        if text.count("15s") != 2:
            raise RuntimeError("conf/prometheus/prometheus.yml does not scrape and evaluate every 15 s")
        file = rewrite(etc / "prometheus.yml", text.replace("15s", "1s"))
        for rules in CONF.glob("*.rules.yml"), CONF.glob("*.alerts.yml"):
            for each in rules:
                shutil.copy(each, etc)
        super().__init__(
            [
                *("prometheus", f"--config.file={file}", f"--storage.tsdb.path={directory / 'data'}"),
                f"--web.listen-address=127.0.0.1:{PORT}",
            ],
            directory / "prometheus.log",
            ready=lambda: "Server is ready to receive web requests" in self.output(),
            timeout=60,
        )

    def names(self, expression: str, at_least: int = 0) -> list[str]:
        """The daemons in the series of an instant query; none where there are fewer series than *at_least*."""
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/v1/query?{query}", timeout=10) as page:
            series = json.load(page)["data"]["result"]
        return [each["metric"]["daemon"] for each in series] if len(series) >= at_least else []
