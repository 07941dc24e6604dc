"""What is said about sockets: where Postfix looks for them, whose they are, who starts what listens there."""

from __future__ import annotations

import pytest

from gatepost.config.addresses import HostAndPort, SocketAddress
from gatepost.config.settings import Config
from gatepost.postfix.finding import Level
from gatepost.postfix.reach import Obstacle
from tests.unit.postfix.support import (
    BORDER_LINE,
    CLEANUP,
    INWARD_LINE,
    OUTWARD_LINE,
    PORT,
    STAMP,
    after,
    brief,
    changed,
    config,
    found,
    shipped,
)

UNIX = {
    "dkim-verify": "unix:/run/gatepost/verify",
    "dmarc-enforce": "unix:/var/spool/postfix/gatepost/enforce",
}


def on_unix_sockets() -> Config:
    whole = config()
    for name, path in UNIX.items():
        whole = changed(whole, name, socket=[SocketAddress.parse(path)])
    return whole


@pytest.mark.parametrize(
    ("milters", "chroot", "expected", "words"),
    [
        ("unix:/run/gatepost/verify, unix:gatepost/enforce", "n", [], ""),
        ("unix:/run/gatepost/verify, unix:/var/spool/postfix/gatepost/enforce", "n", [], ""),
        (
            "unix:/run/gatepost/verify, unix:gatepost/enforce",
            "y",
            [("error", PORT), ("error", PORT)],
            "Postfix sees /var/spool/postfix/run/gatepost/verify; mend:"
            ' socket: "unix:/var/spool/postfix/gatepost/dkim-verify" (gatepost.yaml) and unix:gatepost/',
        ),
        (
            "unix:gatepost/enforce, unix:/var/spool/postfix/gatepost/enforce",
            "y",
            [("error", PORT), ("error", PORT)],
            "mend: unix:gatepost/enforce",
        ),
    ],
)
def test_unix_sockets(milters: str, chroot: str, expected: list[tuple[str, str]], words: str) -> None:
    changes = [
        (BORDER_LINE, f"smtpd_milters = {milters}"),
        ("smtpd      pass  -       -       n", f"smtpd pass - - {chroot}"),
        (INWARD_LINE, f"-o smtpd_milters=unix:/run/gatepost/verify,{STAMP}"),
    ]
    findings = after("filtered", changes, on_unix_sockets())
    assert brief(findings) == expected
    assert words in "\n".join(map(str, findings))


def test_a_socket_outside_the_chroot_of_cleanup() -> None:
    whole = changed(config(), "dkim-sign", socket=[SocketAddress.parse("unix:/run/gatepost/sign")])
    changes = [
        ("non_smtpd_milters = inet:127.0.0.1:8892", "non_smtpd_milters = unix:/run/gatepost/sign"),
        (OUTWARD_LINE, "-o smtpd_milters=unix:/run/gatepost/sign"),
        (CLEANUP, CLEANUP.replace("n - n", "n - y")),
    ]
    findings = after("filtered", changes, whole)
    assert brief(findings) == [("error", "cleanup/unix"), ("hint", "non_smtpd_milters")]
    assert "Postfix sees /var/spool/postfix/run/gatepost/sign" in findings[0].text


def test_sockets_that_postfix_cannot_reach() -> None:
    main, master = shipped("filtered")
    asked: list[str] = []

    def look(path: str) -> Obstacle:
        asked.append(path)
        return Obstacle(False, "closed", "open it")

    [finding] = found(main, master, config(), look=look)
    assert asked == ["/var/spool/postfix/private/gatepost-spf"]
    assert finding.level is Level.ERROR
    assert str(finding) == "smtpd/pass: spf at unix:private/gatepost-spf: closed; mend: open it"
    [missing] = found(main, master, config(), look=lambda path: Obstacle(True, f"{path} is not there"))
    assert missing.level is Level.HINT


SPAWNED = "spf unix - n n - 0 spawn user=gatepost argv=/usr/bin/gatepost run spf --stdio\n"


def test_a_policy_service_that_spawn_starts() -> None:
    changes = [("private/gatepost-spf", "private/spf"), ("smtp-amavis unix", f"{SPAWNED}smtp-amavis unix")]
    [finding] = after("filtered", changes, config())
    assert (finding.level, finding.place, finding.mend) == (
        Level.WARNING,
        "spf_time_limit",
        "postconf -e 'spf_time_limit = 3600s'",
    )
    changes += [(BORDER_LINE, f"{BORDER_LINE}\nspf_time_limit = 3600s")]
    assert after("filtered", changes, config()) == []


def test_a_metrics_address_is_no_milter() -> None:
    whole = changed(config(), "dkim-verify", metrics=HostAndPort("127.0.0.1", 9891))
    findings = after("filtered", [(BORDER_LINE, f"{BORDER_LINE}, inet:127.0.0.1:9891")], whole)
    assert [finding.text for finding in findings] == [
        "inet:127.0.0.1:9891 is where dkim-verify serves its metrics"
    ]
