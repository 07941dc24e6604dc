"""The lines for Postfix: what is printed passes the check, for every layout and every set of daemons."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from gatepost.cli import main
from gatepost.config.addresses import SocketAddress
from gatepost.config.settings import Config
from gatepost.postfix.lines import Layout, as_text, guess, lines
from gatepost.postfix.roster import Roster
from milters.assembly import removes_seals
from tests.unit.postfix.support import CLEANUP, DATA, changed, config, found

OPTIONAL = ("dkim-sign", "dmarc-enforce", "dmarc-stamp", "spf", "greylist")
SETS = [without for count in range(6) for without in itertools.combinations(OPTIONAL, count)]
FILE = DATA / "gatepost.yaml"


def split(text: str) -> tuple[str, str]:
    """The text as main.cf and master.cf."""
    first, _, second = text.partition("# --- master.cf")
    return f"compatibility_level = 3.6\n{first}", second + CLEANUP


def ready(whole: Config, layout: Layout) -> Config:
    """The configuration with what the notes ask for."""
    if layout is Layout.BEFORE_QUEUE:
        return changed(whole, "dkim-verify", verify_local=True)
    if layout is Layout.NO_FILTER and not Roster(whole).dmarc:
        return changed(whole, "dkim-verify", seal=False)
    return whole


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("without", SETS, ids=lambda names: " ".join(names) or "all")
def test_what_is_printed_passes_the_check(layout: Layout, without: tuple[str, ...]) -> None:
    whole = ready(config(*without), layout)
    printed = as_text(lines(whole, layout, "a test"))
    assert [str(finding) for finding in found(*split(printed), whole)] == []


@pytest.mark.parametrize("layout", Layout)
def test_what_is_not_ready_is_noted(layout: Layout) -> None:
    without = {
        Layout.AFTER_QUEUE: ("dmarc-stamp",),
        Layout.BEFORE_QUEUE: (),
        Layout.NO_FILTER: ("dmarc-enforce", "dmarc-stamp"),
    }
    words = {
        Layout.AFTER_QUEUE: "mode stamp",
        Layout.BEFORE_QUEUE: "daemons.dkim-verify.verify_local: yes",
        Layout.NO_FILTER: "daemons.dkim-verify.seal: no",
    }
    [note] = lines(config(*without[layout]), layout, "a test").notes
    assert words[layout] in note


def test_the_order_of_the_milters() -> None:
    found_c = lines(config(), Layout.NO_FILTER, "")
    assert found_c.main[0].value == ", ".join(f"inet:127.0.0.1:889{number}" for number in (1, 2, 3, 4))
    found_b = {entry.line.split()[0]: entry for entry in lines(config(), Layout.BEFORE_QUEUE, "").master}
    assert found_b["127.0.0.1:10025"].options[-1].value == (
        "inet:127.0.0.1:8891, inet:127.0.0.1:8893, inet:127.0.0.1:8894"
    )


@pytest.mark.parametrize(
    ("socket", "written"),
    [
        ("inet:8891@0.0.0.0", "inet:127.0.0.1:8891"), ("inet6:8891@::", "inet:[::1]:8891"),
        ("inet6:8891@::1", "inet:[::1]:8891"), ("inet:8891@filter.example.nl", "inet:filter.example.nl:8891"),
        ("unix:/var/spool/postfix/gatepost/v", "unix:gatepost/v"), ("unix:/run/v", "unix:/run/v"),
    ],
)  # fmt: skip
def test_sockets_as_postfix_writes_them(socket: str, written: str) -> None:
    whole = changed(config("dmarc-enforce"), "dkim-verify", socket=[SocketAddress.parse(socket)])
    result = lines(whole, Layout.AFTER_QUEUE, "")
    assert result.main[0].value == written
    assert any("outside /var/spool/postfix" in note for note in result.notes) is (socket == "unix:/run/v")
    assert found(*split(as_text(result)), changed(whole, "dkim-verify", seal=False)) == []


@pytest.mark.parametrize(
    ("whole", "layout"),
    [
        (config(), Layout.AFTER_QUEUE),
        (config("dmarc-stamp"), Layout.NO_FILTER),
        (changed(config("dmarc-stamp"), "dkim-verify", verify_local=True), Layout.BEFORE_QUEUE),
    ],
)
def test_the_layout_that_a_configuration_is_made_for(whole: Config, layout: Layout) -> None:
    assert guess(whole)[0] is layout


@pytest.mark.parametrize("without", SETS, ids=lambda names: " ".join(names) or "all")
def test_the_last_daemon_is_the_one_that_takes_the_seals_out(without: tuple[str, ...]) -> None:
    whole = config(*without)
    assert removes_seals(whole, Roster(whole).last)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["postfix", "--config", str(FILE), "--layout", "B"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("# Layout B: as asked for.")
    assert "smtpd_proxy_filter = 127.0.0.1:10024" in text
    assert main(["postfix", "--config", str(FILE), "--json", "--queue-directory", "/var/spool"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["layout"] == "a"
    assert report["main.cf"][0]["name"] == "smtpd_milters"
    assert "unix:postfix/private/gatepost-spf" in json.dumps(report["main.cf"])
    assert [entry["line"].split()[0] for entry in report["master.cf"]][:2] == ["smtp", "submission"]


def test_the_command_without_a_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["postfix", "--config", str(tmp_path / "none.yaml")]) == 78
    assert "there is no such file" in capsys.readouterr().err
