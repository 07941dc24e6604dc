"""What the neighbours make of our daemons: SpamAssassin, the ports behind the filter, fail2ban, Prometheus, Postfix."""

from __future__ import annotations

import json
import smtplib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.waiting import wait_for
from tests.pipeline.mailbox import arrived
from tests.pipeline.senders import mail, send
from tests.pipeline.server import BERT, Server
from tests.pipeline.servers.dns import EVIL, OUTSIDE, PLAIN
from tests.pipeline.servers.gatepost import CONF
from tests.pipeline.servers.prometheus import Prometheus
from tests.pipeline.verdicts import results, spam_tests, verdicts

FRIEND = "friend@example.org"
OURS = {f"GATEPOST_{method}_PASS" for method in ("SPF", "DKIM", "DMARC")}


@pytest.mark.parametrize("server", ["A"], indirect=True)
def test_spamassassin_reads_what_passes(server: Server) -> None:
    letter = mail(FRIEND, BERT)
    assert send(OUTSIDE, server.theirs[0].sign(letter.octets), FRIEND, [BERT]).code == 250
    found = {name for name in spam_tests(arrived(BERT, letter.message_id)) if name.startswith("GATEPOST_")}
    assert found == OURS


def test_spamassassin_believes_no_stranger(server: Server) -> None:
    sender = "spf=pass@plain.example"
    forged = ("Authentication-Results", "mail.example.nl; spf=pass smtp.mailfrom=a@bank.example; dmarc=pass")
    letter = mail(sender, BERT, forged)
    assert send(PLAIN, letter.octets, sender, [BERT]).code == 250
    found = {name for name in spam_tests(arrived(BERT, letter.message_id)) if name.startswith("GATEPOST_")}
    assert found == set()


@pytest.mark.parametrize("server", ["A"], indirect=True)
def test_stamp_evaluates_what_comes_from_this_host(server: Server) -> None:
    """As when the first pass was left out: a mail that nobody has a result for, from 127.0.0.1."""
    letter = mail(FRIEND, BERT)
    with smtplib.SMTP("127.0.0.1", 10025) as session:
        session.sendmail(FRIEND, [BERT], server.theirs[0].sign(letter.octets))
    delivery = arrived(BERT, letter.message_id)
    assert verdicts(delivery)["dmarc"] == ["pass"]
    assert b"gatepost-s" not in delivery.octets
    assert len([field for field in results(delivery) if "dmarc=" in field]) == 1


def test_check_has_nothing_to_say_of_the_shipped_files(server: Server) -> None:
    command = [sys.executable, "-m", "gatepost", "check", "--postfix", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    findings = json.loads(done.stdout)["postfix"]
    assert [each for each in findings if each["place"] != "mail_version"] == []


def test_fail2ban_finds_who_was_refused(server: Server, tmp_path: Path) -> None:
    letter = mail("ceo@bank.example", BERT)
    assert send(EVIL, letter.octets, "x@evil.example", [BERT]).code == 550
    log = tmp_path / "gatepost.log"
    log.write_text("".join(daemon.log() for daemon in server.gatepost.daemons.values()))
    refused = [line for line in log.read_text().splitlines() if line.endswith("action=reject")]
    # Before the queue, the client is the filter: the jails' ignoreip spares it.
    client = EVIL.address if server.layout.name == "A" else "127.0.0.1"
    filter_file = CONF / "fail2ban" / "filter.d" / "gatepost.conf"
    for mode in ("dmarc", "all"):
        command = ["fail2ban-regex", "--out", "ip", str(log), f"{filter_file}[mode={mode}]"]
        told = subprocess.run(command, capture_output=True, text=True, check=True)
        assert told.stdout.split() == [client] * len(refused)
    assert refused


def test_prometheus_sees_every_daemon(server: Server, tmp_path: Path) -> None:
    daemons = sorted(server.gatepost.daemons)
    with Prometheus(tmp_path) as prometheus:
        up = wait_for(lambda: prometheus.names("up == 1", at_least=len(daemons)), "a scrape of each", 60)
        assert sorted(up) == daemons
        counted = prometheus.names("sum by (daemon) (gatepost_messages_total) > 0")
        assert {"dkim-verify", "dmarc-enforce", "spf"} <= set(counted)
        assert prometheus.names("sum by (daemon) (gatepost_greylist_requests_total) > 0") == ["greylist"]
        assert prometheus.names('ALERTS{alertstate="firing"}') == []
