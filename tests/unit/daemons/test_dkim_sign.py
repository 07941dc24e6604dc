"""dkim-sign as a daemon: who is signed, with what, and why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gatepost.config.dkim_settings import DkimSign
from gatepost.dkim import taglist
from gatepost.dkim.keys.sources import build
from milters.dkim_sign import DkimSignHandler, Tools
from milters.handler import Disposition
from tests.harness.log_file import LogFile
from tests.unit.daemons.support import (
    OURSELVES,
    STRANGER,
    common,
    deleted,
    inserted,
    run,
)
from tests.unit.dkim.support import MESSAGE, craft, ed25519_key, rsa_key


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    for name, key in (("rsa", rsa_key()), ("ed", ed25519_key())):
        file = tmp_path / f"{name}.pem"
        file.touch(mode=0o600)
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return tmp_path


def handler(log: LogFile, keys: Path, *entries: dict[str, Any], **settings: Any) -> DkimSignHandler:
    rsa = {"domain": "example.nl", "selector": "rsa", "file": str(keys / "rsa.pem")}
    chosen = DkimSign.model_validate(
        {
            "kind": "dkim-sign",
            "socket": ["inet:1@127.0.0.1"],
            "keys": entries or ([] if "key_path" in settings else [rsa]),
            "require_safe_keys": False,
            **settings,
        }
    )
    return DkimSignHandler("dkim-sign", chosen, Tools(**common(log.log), keys=build(chosen)))


def signatures(daemon: DkimSignHandler, raw: bytes = MESSAGE, **envelope: Any) -> list[dict[bytes, bytes]]:
    verdict = run(daemon, raw, **({"client_address": OURSELVES} | envelope))
    assert verdict.disposition is Disposition.ACCEPT
    return [taglist.parse(value.encode(), 1 << 16) for value in inserted(verdict, b"DKIM-Signature")]


@pytest.mark.parametrize(
    ("envelope", "settings", "origin"),
    [
        ({"client_address": OURSELVES}, {}, "trusted network"),
        ({"client_address": STRANGER}, {}, "outside"),
        ({"client_address": ""}, {}, "outside"),
        ({"client_address": STRANGER, "macros": {"auth_authen": "anna"}}, {}, "login"),
        ({"client_address": STRANGER, "macros": {"daemon_name": "ORIGINATING"}}, {}, "outside"),
        (
            {"macros": {"daemon_name": "ORIGINATING"}},
            {"sign_for": ["ORIGINATING"]},
            "daemon_name=ORIGINATING",
        ),
        (
            {"macros": {"daemon_name": "ORIGINATING"}},
            {"sign_for": ["daemon_name=ORIGINATING"]},
            "daemon_name=ORIGINATING",
        ),
        ({"macros": {"daemon_name": "MX"}}, {"sign_for": ["ORIGINATING"]}, "outside"),
        ({"macros": {"testmacro": "x"}}, {"sign_for": ["testmacro"]}, "testmacro=x"),
        ({"macros": {"testmacro": "x"}}, {"sign_for": ["{testmacro}=x"]}, "testmacro=x"),
        ({"macros": {"testmacro": "x"}}, {"sign_for": ["testmacro=y"]}, "outside"),
        ({}, {"sign_for": ["testmacro"]}, "outside"),
    ],
)
def test_who_is_one_of_ours(
    log: LogFile, keys: Path, envelope: dict[str, Any], settings: dict[str, Any], origin: str
) -> None:
    found = signatures(handler(log, keys, **settings), **({"client_address": STRANGER} | envelope))
    assert bool(found) is (origin != "outside")
    assert log.lines[-1]["origin"] == origin


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (MESSAGE.replace(b"example.nl", b"example.org"), "keys is for this sender"),
        (MESSAGE.replace(b"From: Anna", b"X-From: Anna"), "no From field"),
        (b"From: eve@example.nl\n" + MESSAGE, "From: "),
        (b"From : eve@example.nl\n" + MESSAGE, "From: "),
        (MESSAGE.replace(b"<anna@example.nl>", b"<anna@example.nl>, <bert@example.org>"), "From: "),
        (MESSAGE.replace(b"Anna <anna@example.nl>", b"nobody"), "From: "),
    ],
)
def test_unsigned_and_why(log: LogFile, keys: Path, raw: bytes, reason: str) -> None:
    assert signatures(handler(log, keys), raw) == []
    assert log.lines[-1]["signed"] == "no"
    assert reason in log.lines[-1]["reason"]


@pytest.mark.parametrize("author", [b"<anna@example.nl>, <bert@example.nl>", b", B [x] <anna@example.nl>"])
def test_authors_of_one_domain_are_signed_for(log: LogFile, keys: Path, author: bytes) -> None:
    raw = MESSAGE.replace(b"<anna@example.nl>", author)
    (found,) = signatures(handler(log, keys), raw)
    assert found[b"d"] == b"example.nl"


def test_rsa_and_ed25519_both_sign(log: LogFile, keys: Path) -> None:
    entries = [
        {"domain": "example.nl", "selector": name, "file": str(keys / f"{name}.pem")}
        for name in ("rsa", "ed")
    ]
    found = signatures(handler(log, keys, *entries))
    assert [tags[b"a"] for tags in found] == [b"rsa-sha256", b"ed25519-sha256"]
    assert log.lines[-1]["signed"] == "example.nl/rsa/rsa-sha256,example.nl/ed/ed25519-sha256"


def test_the_sender_field_may_decide(log: LogFile, keys: Path) -> None:
    raw = b"Sender: anna@example.nl\n" + MESSAGE.replace(b"anna@example.nl", b"anna@example.org")
    assert signatures(handler(log, keys), raw) == []
    (found,) = signatures(handler(log, keys, sender_headers=["from", "sender"]), raw)
    assert found[b"d"] == b"example.nl"


def test_settings_reach_the_signature(log: LogFile, keys: Path) -> None:
    settings = {
        "canonicalization": "simple/relaxed", "signature_ttl": "1d", "identity": "@example.nl",
        "headers": ["Subject", "X-Mine"], "oversign": ["From"],
    }  # fmt: skip
    (found,) = signatures(handler(log, keys, **settings), b"X-Mine: 1\n" + MESSAGE)
    assert found[b"c"] == b"simple/relaxed"
    assert int(found[b"x"]) - int(found[b"t"]) == 86400
    assert found[b"i"] == b"@example.nl"
    assert found[b"h"] == b"From:From:subject:x-mine"


@pytest.mark.parametrize(
    ("recipients", "is_signed"),
    [
        ([b"list@example.org"], False),
        ([b"LIST@example.org", b"x@internal.example"], False),
        ([b"list@example.org", b"y@example.org"], True),
        ([], True),
    ],
)
def test_never_sign_to(log: LogFile, keys: Path, recipients: list[bytes], is_signed: bool) -> None:
    daemon = handler(log, keys, never_sign_to=["list@example.org", "internal.example"])
    assert bool(signatures(daemon, recipients=recipients)) is is_signed


def test_existing_signatures(log: LogFile, keys: Path) -> None:
    raw = craft(MESSAGE, rsa_key(), s="old")
    assert len(signatures(handler(log, keys), raw)) == 1
    assert signatures(handler(log, keys, existing_signature="skip"), raw) == []
    assert "existing_signature" in log.lines[-1]["reason"]
    elsewhere = craft(MESSAGE, rsa_key(), d="list.example.org")
    assert len(signatures(handler(log, keys, existing_signature="skip"), elsewhere)) == 1


def test_old_signatures_may_go(log: LogFile, keys: Path) -> None:
    raw = craft(craft(MESSAGE, rsa_key(), s="a"), rsa_key(), s="b")
    assert deleted(run(handler(log, keys), raw, client_address=OURSELVES)) == []
    assert deleted(run(handler(log, keys, remove_old_signatures=True), raw, client_address=OURSELVES)) == [
        1,
        2,
    ]


def test_authentication_results(log: LogFile, keys: Path) -> None:
    verdict = run(handler(log, keys, authentication_results=True), MESSAGE, client_address=OURSELVES)
    assert inserted(verdict) == ["mx.example.net; dkim=none (signed here)"]


@pytest.mark.parametrize("action", ["tempfail", "accept"])
def test_a_key_that_cannot_be_had(log: LogFile, keys: Path, action: str) -> None:
    daemon = handler(log, keys, key_path=str(keys / "{domain}.{selector}.key"), on_signing_error=action)
    (keys / "example.nl.dkim.key").write_text("no key at all")
    verdict = run(daemon, MESSAGE, client_address=OURSELVES)
    assert verdict.disposition.value == action
    assert "example.nl.dkim.key" in log.lines[-1]["reason"]
    assert run(daemon, MESSAGE, client_address=STRANGER).disposition is Disposition.ACCEPT


def test_a_header_beyond_the_limits_is_not_signed(log: LogFile, keys: Path) -> None:
    verdict = run(
        handler(log, keys), MESSAGE, client_address=OURSELVES, oversized="more than 1000 header fields"
    )
    assert verdict.disposition is Disposition.TEMPFAIL
    assert run(handler(log, keys), MESSAGE, oversized="x").disposition is Disposition.ACCEPT


def test_only_macros_in_use_are_asked_for(log: LogFile, keys: Path) -> None:
    assert handler(log, keys).needs.macros["mail"] == ("{auth_authen}",)
    assert handler(log, keys, sign_for=["ORIGINATING", "x=1", "x=2"]).needs.macros["mail"] == (
        "{auth_authen}", "{ORIGINATING}", "x",
    )  # fmt: skip
