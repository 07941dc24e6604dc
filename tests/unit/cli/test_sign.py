"""``gatepost sign``: what it makes verifies, here and by dkimpy; what it says; its exit status."""

from __future__ import annotations

import io
import json
import os
import threading
from pathlib import Path
from typing import Any

import dkim
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatepost.cli import main
from gatepost.dkim.keys.make import pem
from tests.unit.dkim.support import MESSAGE, ed25519_key, record, rsa_key

RECORDS = {
    b"mail._domainkey.example.nl.": record(rsa_key()),
    b"ed._domainkey.example.nl.": record(ed25519_key()),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A server with two signers, and the DNS that knows their keys."""
    directory = tmp_path_factory.mktemp("sign")
    for name, key in (("rsa", rsa_key()), ("ed", ed25519_key())):
        file = directory / f"{name}.private"
        file.write_bytes(pem(key))
        file.chmod(0o600)
    zone = {name.decode().rstrip("."): [{"TXT": text.decode()}] for name, text in RECORDS.items()}
    (directory / "zone.yaml").write_text(json.dumps(zone))
    keys = f"""
      - {{domain: example.nl, selector: mail, file: {directory}/rsa.private}}
      - {{domain: example.nl, selector: ed, file: {directory}/ed.private}}"""
    (directory / "gatepost.yaml").write_text(f"""
authserv_id: mx.example.nl
daemons:
  dkim-sign:
    socket: inet:8892@127.0.0.1
    keys: {keys}
""")
    (directory / "several.yaml").write_text(f"""
authserv_id: mx.example.nl
daemons:
  plain:
    kind: dkim-sign
    socket: inet:1@127.0.0.1
    keys: [{{domain: example.nl, selector: mail, file: {directory}/rsa.private}}]
  other:
    kind: dkim-sign
    socket: inet:2@127.0.0.1
    authentication_results: true
    remove_old_signatures: true
    canonicalization: simple/simple
    keys: {keys}
  once:
    kind: dkim-sign
    socket: inet:3@127.0.0.1
    existing_signature: skip
    keys: {keys}
  dkim-verify: {{socket: inet:4@127.0.0.1}}
""")
    return directory


def sign(site: Path, raw: bytes, *arguments: str, config: str = "gatepost.yaml") -> int:
    file = site / "message.eml"
    file.write_bytes(raw)
    return main(["sign", str(file), "--config", str(site / config), *arguments])


def verified(raw: bytes, index: int = 0) -> bool:
    """What dkimpy says of one signature."""
    verifier = dkim.DKIM(raw)
    return bool(verifier.verify(index, dnsfunc=lambda name, timeout=5: RECORDS.get(name)))


def signatures(raw: bytes) -> int:
    header = raw.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    return (b"\n" + header).count(b"\nDKIM-Signature:")


@pytest.mark.parametrize(
    "raw",
    [
        MESSAGE,
        MESSAGE.replace(b"\n", b"\r\n"),
        MESSAGE.partition(b"\n\n")[0] + b"\n\n",
        MESSAGE.partition(b"\n\n")[0] + b"\n",
        MESSAGE + b"no line end",
        MESSAGE + b"\n\n\n",
        MESSAGE + b"octets \x00\xff\xfe \r alone\n",
        MESSAGE + b"From the start of a line\n.\n..\n",
        MESSAGE + b"x" * 200_000 + b"\n" + b"y \t z\n" * 50_000,
        b"Received: from here\n\tby there\n" + MESSAGE,
    ],
    ids=lambda raw: f"{len(raw)}",
)
def test_what_is_signed_verifies(
    site: Path, raw: bytes, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert sign(site, raw) == 0
    captured = capsysbinary.readouterr()
    signed = captured.out
    assert signatures(signed) == 2
    assert verified(signed)
    assert verified(signed, 1)
    # Nothing but the new fields is added, and the line ends are those of the message.
    assert signed.endswith(raw if b"\n\n" in raw or b"\r\n\r\n" in raw else raw + b"\n")
    assert (b"\r\n" in signed.partition(b"h=")[0]) == (b"\r\n" in raw)
    file = tmp_path / "signed.eml"
    file.write_bytes(signed)
    assert main(["verify", str(file), "--zone", str(site / "zone.yaml"), "--json"]) == 0
    results = json.loads(capsysbinary.readouterr().out)["dkim"]
    assert [each["result"] for each in results] == ["pass", "pass"]
    assert captured.err.decode() == (
        "gatepost sign: signed as example.nl with selector mail (rsa-sha256)\n"
        "gatepost sign: signed as example.nl with selector ed (ed25519-sha256)\n"
        "gatepost sign: the keys of example.nl come from keys[1] (example.nl), keys[2] (example.nl)\n"
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.sampled_from([b"\n", b"\r\n", b" ", b"\t", b"a", b"From ", b"\x00", b"\xe9"])).map(
        lambda parts: b"".join(parts) + b"\n"
    )
)
def test_any_body_verifies(site: Path, capsysbinary: pytest.CaptureFixture[bytes], body: bytes) -> None:
    assert sign(site, MESSAGE + body, "--config", str(site / "gatepost.yaml")) == 0
    signed = capsysbinary.readouterr().out
    assert signed.endswith(MESSAGE + body)
    assert verified(signed)


def test_standard_input(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(MESSAGE)))
    assert main(["sign", "-", "--config", str(site / "gatepost.yaml")]) == 0
    assert verified(capsysbinary.readouterr().out)


def test_a_pipe_by_name(site: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(MESSAGE,))
    writer.start()
    assert main(["sign", str(pipe), "--config", str(site / "gatepost.yaml")]) == 0
    writer.join()
    assert verified(capsysbinary.readouterr().out)


def test_fields_alone(site: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert sign(site, MESSAGE, "--fields") == 0
    fields = capsysbinary.readouterr().out
    assert fields.startswith(b"DKIM-Signature: v=1; ")
    assert (signatures(fields), b"From:" in fields.split(b"\n")) == (2, False)
    assert verified(fields + MESSAGE)


def test_a_key_by_hand(site: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    file = site / "message.eml"
    file.write_bytes(MESSAGE)
    key = ["--domain", "example.nl", "--selector", "mail", "--file", str(site / "rsa.private")]
    assert main(["sign", str(file), *key]) == 0
    captured = capsysbinary.readouterr()
    assert verified(captured.out)
    assert captured.err == b"gatepost sign: signed as example.nl with selector mail (rsa-sha256)\n"


def test_as_the_daemon_would(site: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    old = b"DKIM-Signature: v=1; d=old.example; s=x\n" + MESSAGE
    assert sign(site, old, "--daemon", "other", config="several.yaml") == 0
    signed = capsysbinary.readouterr().out
    assert b"old.example" not in signed
    assert b"\nAuthentication-Results: mx.example.nl;" in signed
    assert b"c=simple/simple" in signed
    assert verified(signed)
    assert sign(site, old, "--daemon", "plain", config="several.yaml") == 0
    assert signatures(capsysbinary.readouterr().out) == 2


@pytest.mark.parametrize(
    ("raw", "daemon", "reason"),
    [
        (MESSAGE.replace(b"anna@example.nl", b"anna@example.org"), "once", "none of the 2 entries of keys"),
        (MESSAGE.replace(b"From:", b"X-From:"), "once", "no From field"),
        (b"From: b@example.nl\n" + MESSAGE, "once", "From: "),
        (b"DKIM-Signature: v=1; d=example.nl; s=x\n" + MESSAGE, "once", "existing_signature: skip"),
        (b"X: y\n" * 1100 + MESSAGE, "once", "more than 1000 header fields"),
    ],
)
def test_why_not(
    site: Path, raw: bytes, daemon: str, reason: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert sign(site, raw, "--daemon", daemon, config="several.yaml") == 1
    captured = capsysbinary.readouterr()
    assert captured.out == b""
    assert b"gatepost sign: not signed: " in captured.err
    assert reason.encode() in captured.err
    assert sign(site, raw, "--daemon", daemon, "--json", config="several.yaml") == 1
    found: dict[str, Any] = json.loads(capsysbinary.readouterr().out)
    assert (found["signed"], found["fields"], found["keys"]) == (False, [], [])
    assert reason in found["reason"]


def test_report_for_programs(site: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert sign(site, MESSAGE, "--json") == 0
    found = json.loads(capsysbinary.readouterr().out)
    assert found["sender"] == "example.nl"
    assert found["rule"] == "keys[1] (example.nl), keys[2] (example.nl)"
    assert [key["selector"] for key in found["keys"]] == ["mail", "ed"]
    assert verified("".join(f"{field}\n" for field in found["fields"]).encode() + MESSAGE)


def test_the_line_of_a_mailbox_is_left_out(site: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert sign(site, b"From anna Thu Jan  1 00:00:00 2026\n" + MESSAGE) == 0
    captured = capsysbinary.readouterr()
    assert captured.out.startswith(b"DKIM-Signature:")
    assert verified(captured.out)
    assert b'the "From " line of a mailbox on top is left out' in captured.err


def test_a_header_that_does_not_end_well(site: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    header, _, body = MESSAGE.partition(b"\n\n")
    assert sign(site, header + b"\nno field\n" + body) == 0
    captured = capsysbinary.readouterr()
    assert captured.out.endswith(header + b"\n\nno field\n" + body)
    assert verified(captured.out)
    assert b"is no header field, so the body begins with it" in captured.err


@pytest.mark.parametrize(
    ("arguments", "config", "text"),
    [
        ([], "several.yaml", "there are several signing daemons: add --daemon plain, other or once"),
        (["--daemon", "dkim-verify"], "several.yaml", "no signing daemon is called dkim-verify"),
        (["--domain", "example.nl"], "gatepost.yaml", "--domain, --selector and --file go together"),
        (
            ["--domain", "example.nl", "--selector", "x", "--file", "/nonexistent"],
            "gatepost.yaml",
            "/nonexistent does not exist",
        ),
        (["--domain", "a b", "--selector", "x", "--file", "/x"], "gatepost.yaml", "is not a domain"),
    ],
)
def test_wrong_arguments(
    site: Path, arguments: list[str], config: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sign(site, MESSAGE, *arguments, config=config) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert text in captured.err


@pytest.mark.parametrize(
    ("name", "text"), [("none", "No such file"), (".", "Is a directory"), ("empty", "no message")]
)
def test_files_that_are_none(site: Path, name: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (site / "empty").touch()
    assert main(["sign", str(site / name), "--config", str(site / "gatepost.yaml")]) == 2
    assert text in capsys.readouterr().err
