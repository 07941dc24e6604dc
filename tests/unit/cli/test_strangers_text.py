"""What strangers write into mail and DNS reaches a terminal as text alone: no control sequence comes through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gatepost.cli import main
from tests.harness.dns_server import DnsServer

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"
ZONE = {
    "evil.example": [{"TXT": f"v=spf1 include:{ESCAPES}.x -all"}, {"MX": "10 mx.evil.example."}],
    "_dmarc.evil.example": [{"TXT": f"v=DMARC1; p=reject; rua=mailto:{ESCAPES}@x; {ESCAPES}={ESCAPES}"}],
    "mail._domainkey.evil.example": [{"TXT": f"v=DKIM1; k={ESCAPES}; n={ESCAPES}; p={ESCAPES}"}],
    "_mta-sts.evil.example": [{"TXT": f"v=STSv1; id={ESCAPES}"}],
    "_smtp._tls.evil.example": [{"TXT": f"v=TLSRPTv1; rua={ESCAPES}"}],
}
MAIL = f"""\
DKIM-Signature: v=1; a=rsa-sha256; d=evil.example; s=mail; h=from; bh={ESCAPES}; b={ESCAPES}
Authentication-Results: mail.example.nl; dkim=pass {ESCAPES}
From: {ESCAPES} <a{ESCAPES}@evil.example>
Subject: {ESCAPES}

x
""".replace("\n", "\r\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with a configuration, and a mail."""
    directory = tmp_path_factory.mktemp("place")
    with DnsServer(ZONE) as dns:
        (directory / "gatepost.yaml").write_text(
            f"authserv_id: mail.example.nl\nseal_secret: {directory}/seal.key\n"
            f"dns: {{nameservers: ['{dns.address}']}}\ndaemons:\n  dkim-verify: {{socket: inet:8891}}\n"
        )
        (directory / "mail").write_bytes(MAIL.encode())
        yield directory


@pytest.mark.parametrize(
    "command",
    [
        ["dns", "evil.example"],
        ["dmarc", "evil.example"],
        ["spf", "192.0.2.1", "a@evil.example", "mx.evil.example"],
        ["verify", "MAIL", "--ip", "192.0.2.1", "--from", "a@evil.example", "--helo", "mx.evil.example"],
        ["verify", "MAIL", "--json"],
    ],
    ids=" ".join,
)
def test_no_control_sequence_comes_through(
    place: Path, capsys: pytest.CaptureFixture[str], command: Sequence[str]
) -> None:
    words = [str(place / "mail") if word == "MAIL" else word for word in command]
    main([*words, "--config", str(place / "gatepost.yaml")])
    captured = capsys.readouterr()
    text = captured.out + captured.err
    assert text
    assert [character for character in text if not character.isprintable() and character != "\n"] == []
