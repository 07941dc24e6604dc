"""The filter for fail2ban: who was refused is found, and nobody can have another one banned."""

from __future__ import annotations

import os
import random
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from gatepost.log import Logger
from gatepost.log.syslog import SyslogLogger
from tests.harness.daemon import Installation
from tests.harness.dns_server import DnsServer
from tests.harness.policy_client import PolicyClient
from tests.harness.ports import LOOPBACK
from tests.harness.waiting import wait_for
from tests.monitoring.site import ATTACKER, FRIEND, VICTIM, ZONE, Site, mail

pytestmark = pytest.mark.skipif(
    shutil.which("fail2ban-regex") is None, reason="there is no fail2ban-regex here (package fail2ban)"
)

CONF = Path(__file__).parents[2] / "conf" / "fail2ban"
Find = Callable[[str, Iterable[str]], list[str]]


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """The addresses that the filter finds, in this mode, in these lines."""
    log = tmp_path / "lines"

    def found(mode: str, lines: Iterable[str]) -> list[str]:
        log.write_text("".join(f"{line}\n" for line in lines))
        filter_file = CONF / "filter.d" / "gatepost.conf"
        command = ["fail2ban-regex", "--out", "ip", str(log), f"{filter_file}[mode={mode}]"]
        told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert told.stderr == ""
        return [line for line in told.stdout.splitlines() if line]

    return found


def by_file(lines: Iterable[str]) -> list[str]:
    """As the daemons write them where nobody adds time and name."""
    return list(lines)


def by_syslog(lines: Iterable[str]) -> list[str]:
    """As a syslog daemon files them, and as ``journalctl`` and fail2ban's own reader of the journal show them."""
    return [f"Nov 21 10:00:00 mail {line.partition(' ')[2]}" for line in lines]


def by_rsyslog(lines: Iterable[str]) -> list[str]:
    """As rsyslog files them today, with the time as in RFC 3339."""
    return [f"2026-11-21T10:00:00.123456+00:00 mail {line.partition(' ')[2]}" for line in lines]


ROUTES = [by_file, by_syslog, by_rsyslog]


@pytest.mark.parametrize("route", ROUTES)
def test_refusals_are_found_each_in_its_mode(
    site: Site, find: Find, route: Callable[[Iterable[str]], list[str]]
) -> None:
    lines = route(line for name in site.gatepost.daemons for line in site.lines(name))
    # A stranger's words are quoted where they hold a space.
    refused = [line for line in lines if re.search(r' action=reject[^"]*$', line)]
    expected = {"spf": " spf=fail spf_helo=", "dmarc": " dmarc=fail ", "dkim": "gatepost/dkim-verify"}
    for mode, words in expected.items():
        own = [line for line in refused if words in line and ("dmarc=" in line) == (mode == "dmarc")]
        assert own
        assert find(mode, lines) == clients(own)
    assert find("all", lines) == clients(refused)
    assert ATTACKER in clients(refused)


def clients(lines: Iterable[str]) -> list[str]:
    """Whom each line is about."""
    return [line.partition("client=")[2].partition(" ")[0] for line in lines]


def test_what_is_not_refused_is_not_found(site: Site, find: Find) -> None:
    lines = [line for name in site.gatepost.daemons for line in site.lines(name, "")]
    harmless = [line for line in lines if "action=reject" not in line]
    assert any("dmarc=fail" in line for line in harmless)
    assert any("greylist=deferred" in line for line in harmless)
    assert any(" ready " in line for line in harmless)
    assert find("all", harmless) == []


def test_an_ipv6_client_is_found(site: Site, find: Find) -> None:
    site.policy("spf", client_address="2001:db8::66", sender="a@example.org", helo_name="v6.example")
    assert find("spf", site.lines("spf", "helo=v6.example")) == ["2001:db8::66"]


HOSTILE = [
    f"x client={VICTIM}",
    f'x" client={VICTIM} helo=y sender=z spf=fail action=reject',
    f'x\\" client={VICTIM} helo=y sender=z spf=fail action=reject',
    f"client={VICTIM}",
    f"[{VICTIM}]",
    VICTIM,
    f"Nov 21 10:00:00 mail gatepost/spf[1]: NOQUEUE: client={VICTIM} helo=a sender=b spf=fail action=reject",
    f"a\r\nNov 21 10:00:00 mail gatepost/spf[1]: NOQUEUE: client={VICTIM} helo=a sender=b spf=fail action=reject",
    f"a gatepost/spf[1]: NOQUEUE: client={VICTIM} helo=a sender=b spf=fail action=reject",
    "x action=reject",
    "action=reject",
    'x" action=reject',
    "\\",
    '"',
    "",
    "ä\u2028ö\u202e",
    "x" * 5000 + f" client={VICTIM} action=reject",
    "\udcff\udcfe spf=fail action=reject",
]


def test_no_helo_and_no_sender_names_another_client(site: Site, find: Find) -> None:
    """Refused or not, the only address that is found is that of a client that was refused."""
    before = len(site.lines("spf"))
    asked = 0
    for text in HOSTILE:
        text = text.replace("\n", " ").replace("\r", " ")  # Postfix lets no line end through
        for helo, sender in (
            (text, "a@example.org"),
            ("mx.example.org", f'"{text}"@example.org'),
            ("mx.example.org", f"a@{text}"),
            (text, text),
        ):
            for client in (ATTACKER, FRIEND):
                site.policy("spf", client_address=client, helo_name=helo, sender=sender)
                asked += 1
    lines = wait_for(lambda: found if len(found := site.lines("spf")[before:]) >= asked else [], "all lines")
    assert len(lines) == asked
    for route in ROUTES:
        found = find("all", route(lines))
        refused = [
            line for line in lines if f"client={ATTACKER} " in line and line.endswith(" action=reject")
        ]
        assert len(refused) >= len(HOSTILE)
        assert found == [ATTACKER] * len(refused)


def test_no_mail_names_another_client(site: Site, find: Find) -> None:
    names = ("dkim-verify", "dmarc-enforce")
    before = {name: len(site.lines(name)) for name in names}
    for text in HOSTILE:
        octets = text.replace("\n", " ").replace("\r", " ").encode("utf-8", "surrogateescape")
        signature = b" v=1; a=rsa-sha256; d=%b; s=%b; h=from; bh=x; b=x" % (octets, octets)
        for name in names:
            for client in (ATTACKER, FRIEND):
                site.milter(name, mail(f"{VICTIM}@example.org", client=client, helo=octets[:200]))
                site.milter(name, mail("a@example.org", (b"DKIM-Signature", signature), client=client))
                extra = (b"From", b" " + octets[:500])
                site.milter(name, mail("a@example.org", extra, client=client))
    for name in names:
        lines = site.lines(name)[before[name] :]
        assert len(lines) == 6 * len(HOSTILE)
        # Bad From fields and headers beyond the limits are refused as well, but are not for this filter.
        told_of = " dmarc=fail " if name == "dmarc-enforce" else " dkim="
        refused = [line for line in lines if line.endswith(" action=reject") and told_of in line]
        expected = [line.partition(": client=")[2].partition(" ")[0] for line in refused]
        assert expected
        assert find("all", by_syslog(lines)) == expected


def test_values_of_any_kind_do_not_shift_the_others(tmp_path: Path, find: Find) -> None:
    """Many random texts, of pieces that could be mistaken for something, through the log that all daemons use."""
    random_ = random.Random(7)
    pieces = [
        " ",
        '"',
        "\\",
        "=",
        "action=reject",
        f"client={VICTIM}",
        "spf=fail",
        "é",
        "\x00",
        "x",
        "\u2029",
    ]
    stream = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT, 0o600)
    log = Logger(daemon="spf", stream=stream)
    expected = []
    for number in range(600):
        helo, sender, problem = ("".join(random_.choices(pieces, k=random_.randrange(9))) for _ in range(3))
        client = f"198.51.100.{number % 250}"
        refused = number % 3 == 0
        log.message(
            "",
            client=client,
            helo=helo,
            sender=sender,
            spf="fail",
            problem=problem,
            action="reject" if refused else None,
        )
        if refused:
            expected.append(client)
    log.close()
    os.close(stream)
    assert find("spf", (tmp_path / "log").read_text().splitlines()) == expected


def test_a_line_sent_to_syslog_is_found(tmp_path: Path, find: Find) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(tmp_path / "log"))
        log = SyslogLogger("spf", tmp_path / "log")
        log.message("", client=ATTACKER, helo="mx", sender="example.org", spf="fail", action="reject")
        log.close()
        line = daemon.recv(4096).decode().rstrip("\n")
    stamp, name = line[: len("<22>Nov 21 10:00:00")], line[len("<22>Nov 21 10:00:00 ") :]
    assert find("spf", [f"{stamp.partition('>')[2]} mail {name}"]) == [ATTACKER]


def test_a_line_of_a_daemon_under_the_journal_is_found(tmp_path: Path, find: Find) -> None:
    """Such a line brings its priority alone; time, host, name and process are the journal's."""
    with (
        DnsServer(ZONE) as dns,
        # The name is as in SyslogIdentifier= of the unit.
        Installation(
            tmp_path, {"spf": {"mail_from_reject": "fail"}}, {"dns": {"nameservers": [dns.address]}}
        ) as gatepost,
    ):
        daemon = gatepost["spf"]
        daemon.stop()
        status = os.stat(daemon.process.log_file)
        daemon.process.environment["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
        daemon.start()
        with PolicyClient((LOOPBACK, daemon.port)) as client:
            client.ask(client_address=ATTACKER, sender="a@example.org", helo_name=f"x client={VICTIM}")
        [line] = [line for line in daemon.log().splitlines() if "client=" in line]
    assert line.startswith("<6>NOQUEUE: ")
    assert find("spf", [f"Nov 21 10:00:00 mail gatepost/spf[7]: {line[3:]}"]) == [ATTACKER]


def test_the_jails_can_be_enabled(tmp_path: Path) -> None:
    installed = tmp_path / "fail2ban"
    shutil.copytree("/etc/fail2ban", installed)
    for kind in ("filter.d", "jail.d"):
        shutil.copy(CONF / kind / "gatepost.conf", installed / kind)
    jails = ("gatepost-spf", "gatepost-dmarc", "gatepost-dkim")
    (installed / "jail.local").write_text("".join(f"[{jail}]\nenabled = true\n" for jail in jails))
    told = subprocess.run(
        ["fail2ban-client", "-c", str(installed), "--dp"], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    for jail, unit in zip(jails, ("spf", "dmarc-enforce", "dkim-verify"), strict=True):
        [started] = re.findall(rf"\['add', '{jail}', '(\w+)'\]", told.stdout)
        assert started == "systemd"
        assert f"['set', '{jail}', 'addjournalmatch', '_SYSTEMD_UNIT=gatepost@{unit}.service']" in told.stdout
        assert told.stdout.count(f"'{jail}', 'addfailregex'") == 1
    shipped = (CONF / "jail.d" / "gatepost.conf").read_text()
    assert shipped.count("enabled = false") == len(jails)
