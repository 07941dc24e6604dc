"""What is done with figures: tables, the page, the report, and the file that holds them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from bench import page, report, table
from bench.result import COLUMNS, Result, Run, duration, rate

ROW = {"rate": 1000.0, "p50": 0.0005, "p99": 0.0123, "p50_alone": 0.0002, "cpu": 0.0001, "share": 0.2}
RESULTS = [
    Result(
        "verify",
        "DKIM verify <4 kB>",
        "throughput",
        [
            {"daemon": "gatepost", **ROW, "ratio": None, "target": None},
            {"daemon": "OpenDKIM", **ROW, "rate": 250.0, "ratio": 4.0, "target": 5.0, "cpu_ratio": 2.5},
        ],
        {"dkimpy-milter": "not installed: dkimpy-milter"},
    ),
    Result("clients", "By clients", "growth", [{"daemon": "gatepost", "x": x, **ROW} for x in (1, 8, 64)], axis="n"),
    Result(
        "latency",
        "TCP",
        "latency",
        [{"daemon": "gatepost", "further": 0.002, "further_added": -0.0001, "session": 0.003, "session_added": 0.0004,
          "target": 0.001}],
    ),
    Result("memory", "Verify", "memory", [{"daemon": "gatepost", "idle": 2**20, "small": 2**21, "large": 2**22}]),
    Result(
        "slow",
        "Verify",
        "slow",
        [{"daemon": "gatepost", "p50_before": 0.1, "p99_before": 0.2, "p50": 0.1, "p99": 12.0, "slow": "3 of 4"}],
    ),
    Result("floor", "One worker", "floor", [{"daemon": "verify", "cpu": 0.1, "floor": 0.05, "ratio": 2.0,
                                              "parts": "RSA 14 µs"}], note="A word."),
]  # fmt: skip
RUN = Run({"date": "2026-01-01", "processor": "one, 2 cores", "python": "3.11"}, False, 600.0, RESULTS)


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    RUN.write(tmp_path / "bench.json")
    assert Run.read(tmp_path / "bench.json") == RUN


@pytest.mark.parametrize("content", ["{}", '{"results": [{}]}', "[", "{"])
def test_another_file_is_no_run(tmp_path: Path, content: str) -> None:
    (tmp_path / "bench.json").write_text(content)
    with pytest.raises(ValueError, match=r"."):
        Run.read(tmp_path / "bench.json")


def test_every_kind_is_here() -> None:
    assert {result.kind for result in RESULTS} == set(COLUMNS)


def test_the_table_for_a_terminal() -> None:
    text = "\n".join(table.text(RESULTS))
    assert re.search(r"DKIM verify <4 kB>  gatepost +1,000 ", text)
    assert re.search(r"OpenDKIM +250 +4\.00x +5x +500 µs +12\.30 ms +200 µs +100 µs +2\.50x +20%", text)
    assert re.search(r"dkimpy-milter +not installed: dkimpy-milter\n", text)
    assert re.search(r"-100 µs +1\.00 ms +2\.00 ms", text)
    assert not re.search(r"(?m) $", text)


def test_the_page_gets_the_figures_between_its_marks() -> None:
    old = f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n"
    new = page.fill(old, RUN)
    assert new.startswith(f"before\n{page.BEGIN}\n\nMeasured on 2026-01-01: one, 2 cores; python 3.11.\n")
    assert new.endswith(f"{page.END}\nafter\n")
    assert "old" not in new
    assert "| | OpenDKIM | 250 | 4.00x | 5x |" in new.replace("|  |", "| |")
    assert page.fill(new, RUN) == new
    with pytest.raises(ValueError, match="no <!-- figures -->"):
        page.fill("nothing", RUN)


def test_figures_of_a_quick_run_say_so() -> None:
    quick = Run(RUN.machine, True, 1.0, RESULTS)
    assert "not to be quoted" in page.figures(quick)
    assert "not to be quoted" in report.html(quick)
    assert "not to be quoted" not in report.html(RUN)


def test_the_report_is_complete_in_itself() -> None:
    text = report.html(RUN)
    assert not re.search(r"https?:|src=|url\(|<script|<link|@import", text)
    body = text.partition("<body>")[2].partition("</body>")[0]
    tree = ElementTree.fromstring(f"<body>{body}</body>")  # every element is closed, every character escaped
    assert len(tree.findall(".//svg")) >= 10
    assert len(tree.findall(".//table")) == len(COLUMNS)
    [short] = tree.findall(".//td[@class='short']")
    assert short.text == "4.00x"
    assert {"DKIM verify <4 kB>", "not installed: dkimpy-milter"} <= set(tree.itertext())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 µs"), (0.0000154, "15 µs"), (0.00123, "1.23 ms"), (0.25, "250 ms"), (12.34, "12.3 s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("value", "text"), [(1234.5, "1,234"), (99.94, "99.9"), (1.0, "1.0")])
def test_rates(value: float, text: str) -> None:
    assert rate(value) == text
