"""``gatepost verify``: what it tells, and its exit status."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatepost.cli import main
from tests.harness.dns_server import DnsServer
from tests.harness.waiting import PATIENCE
from tests.unit.dkim.support import MESSAGE, NOW, craft, ed25519_key, record, rsa_key

AT = ("--date", f"@{NOW}")
CLIENT = ("--ip", "192.0.2.1", "--helo", "mail.example.nl", "--from", "anna@example.nl")
STRANGER = ("--ip", "192.0.2.9", "--helo", "mail.example.nl", "--from", "anna@example.nl")

SIGNED = craft(MESSAGE, ed25519_key(), t=str(NOW), x=str(NOW + 3600), h="from:from:to:subject:date")
LISTED = craft(MESSAGE, rsa_key(), d="lists.example.org")
ALTERED = SIGNED.replace(b"this is", b"that is")


def from_(domain: str) -> bytes:
    return MESSAGE.replace(b"<anna@example.nl>", f"<anna@{domain}>".encode())


@pytest.fixture(scope="session")
def zone(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("verify") / "zone.yaml"
    file.write_text(f"""
mail._domainkey.example.nl: [{{TXT: "{record(ed25519_key()).decode()}"}}]
test._domainkey.example.nl: [{{TXT: "{record(rsa_key(), "v=DKIM1; t=y; ").decode()}"}}]
mail._domainkey.lists.example.org: [{{TXT: "{record(rsa_key()).decode()}"}}]
down._domainkey.example.nl: [TIMEOUT]
_dmarc.example.nl: [{{TXT: "v=DMARC1; p=reject; rua=mailto:d@example.nl"}}]
_dmarc.strict.example: [{{TXT: "v=DMARC1; p=quarantine; adkim=s; aspf=s"}}]
_dmarc.down.example: [SERVFAIL]
example.nl: [{{TXT: "v=spf1 ip4:192.0.2.1 -all"}}]
soft.example: [{{TXT: "v=spf1 ~all"}}]
a.strict.example: [{{TXT: "v=spf1 +all"}}]
""")
    return str(file)


@pytest.fixture
def save(tmp_path: Path) -> Any:
    def saved(raw: bytes) -> str:
        file = tmp_path / "message.eml"
        file.write_bytes(raw)
        return str(file)

    return saved


def test_all_is_well(zone: str, save: Any, capsys: pytest.CaptureFixture[str]) -> None:
    results = b"Authentication-Results: mx.example.org; dkim=pass header.d=example.nl; spf=fail\n"
    file = save(b"From anna Thu\n" + results + SIGNED)
    assert main(["verify", file, "--zone", zone, *AT, *CLIENT]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert (
        captured.out
        == """\
A message of example.nl, judged as of 2023-11-14 22:13:20 UTC
note: the "From " line of a mailbox on top is left out

DKIM   pass
       domain:     example.nl, selector mail (ed25519-sha256, 256 bits)
       signed:     from, to, subject, date
       unsigned:   message-id
       oversigned: from: none can be added
       body:       the body is as it was signed
       made:       2023-11-14 22:13:20 UTC
       holds till: 2023-11-14 23:13:20 UTC

SPF    pass
       checked:    MAIL FROM anna@example.nl
       why:        example.nl lets 192.0.2.1 send its mail
       decided by: ip4:192.0.2.1

DMARC  pass
       author:     example.nl, of the organization example.nl
       policy:     reject by the record of example.nl
       dkim:       example.nl (pass) is aligned: it is the author's domain
       spf:        example.nl (pass) is aligned: it is the author's domain
       enforcing:  it would be delivered

Authentication-Results in the message: whoever wrote them, they prove nothing
       mx.example.org: dkim=pass, spf=fail

nothing fails
"""
    )


def test_nothing_is_well(zone: str, save: Any, capsys: pytest.CaptureFixture[str]) -> None:
    file = save(LISTED.replace(b"this is", b"that is"))
    assert main(["verify", file, "--zone", zone, *AT]) == 1
    assert (
        capsys.readouterr().out
        == """\
A message of example.nl, judged as of 2023-11-14 22:13:20 UTC

DKIM   fail: body altered
       domain:     lists.example.org, selector mail (rsa-sha256, 2048 bits)
       signed:     from, to, subject, date, message-id
       body:       the body is not the one that was signed

SPF    not checked: that takes --ip, --helo and --from

DMARC  fail: no aligned identifier
       author:     example.nl, of the organization example.nl
       policy:     reject by the record of example.nl
       dkim:       lists.example.org (fail) would not be aligned: it is of
                   lists.example.org
       note:       SPF was not checked, and might have passed
       enforcing:  it would be refused with 550 5.7.1 Email rejected per DMARC
                   policy for example.nl

fails: DKIM, DMARC
"""
    )


@pytest.mark.parametrize(
    ("raw", "options", "failures"),
    [
        (SIGNED, [], []),
        (SIGNED.replace(b"\n", b"\r\n"), [], []),
        (SIGNED, CLIENT, []),
        (SIGNED, STRANGER, ["spf"]),
        (ALTERED, [], ["dkim", "dmarc"]),
        (ALTERED, CLIENT, ["dkim"]),
        (MESSAGE, [], ["dmarc"]),
        (MESSAGE, CLIENT, []),
        (MESSAGE, STRANGER, ["spf", "dmarc"]),
        (b"Return-Path: <anna@example.nl>\n" + MESSAGE, ["--ip", "192.0.2.1"], []),
        (b"Return-Path: <>\n" + MESSAGE, ["--ip", "192.0.2.1", "--helo", "example.nl"], []),
        (b"Return-Path: <a@b.c>\n" + MESSAGE, CLIENT, []),
        (b"Return-Path: <a@b.c>\n" * 2 + MESSAGE, ["--ip", "192.0.2.1", "--helo", "example.nl"], []),
        (MESSAGE, ["--ip", "192.0.2.1", "--from", "x@soft.example"], ["dmarc"]),
        (LISTED, [], ["dmarc"]),
        (craft(MESSAGE, rsa_key(), s="gone"), [], ["dkim", "dmarc"]),
        (craft(MESSAGE, rsa_key(), s="down"), [], ["dkim", "dmarc"]),
        (craft(MESSAGE, rsa_key(), s="test").replace(b"this is", b"that"), CLIENT, []),
        (from_("none.example"), [], []),
        (from_("none.example"), STRANGER, ["spf"]),
        (from_("down.example"), [], ["dmarc"]),
        (from_("strict.example"), ["--ip", "192.0.2.1", "--from", "x@a.strict.example"], ["dmarc"]),
        (from_("a.strict.example"), ["--ip", "192.0.2.1", "--from", "x@a.strict.example"], []),
        (MESSAGE.replace(b"From:", b"X:"), [], ["dmarc"]),
        (b"From: a@b.nl\n" + MESSAGE, [], ["dmarc"]),
        (SIGNED, ["--date", "2023-11-15"], ["dkim", "dmarc"]),
        (SIGNED, ["--date", "Wed, 15 Nov 2023 00:13:20 +0200"], []),
        (SIGNED, ["--date", "2023-11-14T23:13:20+01:00"], []),
    ],
)
def test_status(
    raw: bytes,
    options: list[str],
    failures: list[str],
    zone: str,
    save: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    at = () if "--date" in options else AT
    assert main(["verify", save(raw), "--zone", zone, "--json", *at, *options]) == bool(failures)
    assert json.loads(capsys.readouterr().out)["failures"] == failures


@pytest.mark.parametrize(
    ("raw", "options", "line"),
    [
        (LISTED, [], "dkim:       lists.example.org (pass) is not aligned: it is of"),
        (ALTERED, [], "dkim:       example.nl (fail) would be aligned: it is the author's domain"),
        (
            from_("strict.example"),
            ["--ip", "192.0.2.1", "--from", "x@a.strict.example"],
            "spf:        a.strict.example (pass) is not aligned: only strict.example",
        ),
        (
            from_("strict.example"),
            [],
            "enforcing:  it would be put on hold: DMARC policy of strict.example",
        ),
        (
            from_("a.example.nl"),
            CLIENT,
            "spf:        example.nl (pass) is aligned: it is of example.nl too",
        ),
        (MESSAGE, [], "aligned:    nothing: there is no identifier to compare with the author"),
        (MESSAGE, [], "DKIM   none: the message is not signed"),
        (MESSAGE.replace(b"From:", b"X:"), [], "DMARC  permerror: From: no From field"),
        (MESSAGE.replace(b"From:", b"X:"), [], "note: the header breaks RFC 5322 §3.6: no From field"),
        (b"List-Id: x\nList-Post: y\n" + MESSAGE, [], "enforcing:  it would be put on hold: "),
        (SIGNED, ["--date", "2030-01-01"], "note: signatures hold for a time; --date judges as of another"),
        (SIGNED, ["--date", "2030-01-01"], "body:       the body is as it was signed"),
        (b"garbage\n" + MESSAGE, [], "note: line 1 is no header field, so the body begins with it"),
        (craft(MESSAGE, rsa_key(), s="down"), [], "TXT down._domainkey.example.nl: no answer in time ("),
        (b"DKIM-Signature: moo\n" + MESSAGE, [], "DKIM   permerror: "),
        (SIGNED, ["--date", "@99999999999"], "judged as of 5138-11-16 09:46:39 UTC"),
        (
            craft(MESSAGE, rsa_key(), s="test", i="news@m.example.nl", l="5", x="9" * 13),
            [],
            "holds till: a time without a date",
        ),
        (
            craft(MESSAGE, rsa_key(), s="test", i="news@m.example.nl", l="5"),
            [],
            "body:       its first 5 octets are as they were signed",
        ),
        (craft(MESSAGE, rsa_key(), s="test", i="news@m.example.nl"), [], "identity:   news@m.example.nl"),
        (craft(MESSAGE, rsa_key(), s="test"), [], "(rsa-sha256, 2048 bits, in testing)"),
        (
            b"".join(SIGNED.split(b"\n")[0] + b"\n" for _ in range(12)) + SIGNED,
            [],
            "3 more signatures are left",
        ),
    ],
)
def test_words(
    raw: bytes, options: list[str], line: str, zone: str, save: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    at = () if "--date" in options else AT
    assert main(["verify", save(raw), "--zone", zone, *at, *options]) in (0, 1)
    assert line in capsys.readouterr().out


def test_the_whole_report_as_json(zone: str, save: Any, capsys: pytest.CaptureFixture[str]) -> None:
    file = save(b"Authentication-Results: mx; spf=pass (x) smtp.mailfrom=a@b\n" + SIGNED)
    assert main(["verify", file, "--zone", zone, "--json", *AT, *CLIENT]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["dkim"][0]["signed"] == ["from", "from", "to", "subject", "date"]
    assert report["dkim"][0]["body_matches"] is True
    assert report["spf"]["mechanism"] == "ip4:192.0.2.1"
    assert report["dmarc"]["aligned_dkim"] == ["example.nl"]
    assert [each["method"] for each in report["dmarc"]["alignment"]] == ["dkim", "spf"]
    assert report["enforce"] == {"action": "accept", "disposition": "none", "override": None, "reply": None}
    assert report["authentication_results"] == [
        {
            "authserv_id": "mx",
            "ours": False,
            "problem": None,
            "results": [
                {
                    "method": "spf",
                    "result": "pass",
                    "reason": "",
                    "comment": "x",
                    "properties": {"smtp.mailfrom": "a@b"},
                }
            ],
        }
    ]
    assert {each["name"] for each in report["dns"]} >= {"mail._domainkey.example.nl", "_dmarc.example.nl"}


CONFIG = """
authserv_id: mx.example.org
dns: {{zone: {zone}}}
daemons:
  dkim-verify: {{socket: inet:8891, min_rsa_bits: 4096, limits: {{header_fields: 20}}}}
  dmarc: {{socket: inet:8893, on_reject: accept, org_domain: psl}}
"""


def test_the_options_of_the_daemons_count(
    zone: str, save: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "gatepost.yaml"
    config.write_text(CONFIG.format(zone=zone))
    forged = b"Authentication-Results: MX.example.org; dkim=pass\n"
    assert main(["verify", save(forged + LISTED), "--config", str(config), *AT]) == 1
    out = capsys.readouterr().out
    assert "DKIM   policy: RSA key of 2048 bits is too short\n" in out
    assert "it would be delivered (and not by the policy: local policy)\n" in out
    assert "MX.example.org (our name: forged, or our own of before): dkim=pass\n" in out
    assert "would not be aligned: it is of\n                   example.org" in out
    assert main(["verify", save(b"X: y\n" * 30), "--config", str(config), "--zone", zone]) == 1
    out = capsys.readouterr().out
    assert "note: nothing is judged: more than 20 header fields\n" in out
    assert "it would be refused with 552 5.3.4 Message header exceeds" in out
    assert out.endswith("fails: the header\n")
    assert main(["verify", save(SIGNED), "--config", str(tmp_path / "none")]) == 78


@pytest.mark.parametrize(
    ("client", "action"),
    [
        ((), "refused with 550 5.7.1 Email rejected per DMARC"),
        (("--ip", "192.0.2.8"), "refused with 550 5.7.1 Email rejected per DMARC"),
        (
            STRANGER,
            "put on hold: DMARC policy of example.nl (and not\n                   by the policy: trusted forwarder)",
        ),
    ],
)
def test_forwarders_are_known_by_their_address(
    client: tuple[str, ...],
    action: str,
    zone: str,
    save: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = tmp_path / "gatepost.yaml"
    config.write_text(
        "authserv_id: mx.example.org\n"
        "daemons: {dmarc: {socket: inet:8893, trusted_forwarders: [192.0.2.9, .example.org]}}\n"
    )
    assert main(["verify", save(MESSAGE), "--config", str(config), "--zone", zone, *client]) == 1
    assert f"it would be {action}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["/nowhere/m.eml"], "/nowhere/m.eml: No such file or directory"),
        (["/"], "/: Is a directory"),
        (["a\0b"], "a b: No such file or directory"),
        ([os.devnull], f"{os.devnull}: there is no message in it"),
        ([os.devnull, "--zone", "/nowhere/zone"], "/nowhere/zone: No such file or directory"),
        ([os.devnull, "--ip", "example.nl"], "example.nl is no IP address"),
        ([os.devnull, "--helo", "x"], "--helo and --from are for SPF, which needs --ip too"),
        ([os.devnull, "--from", "<>"], "--helo and --from are for SPF, which needs --ip too"),
    ],
)
def test_wrong_usage(arguments: list[str], error: str, zone: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = [] if "--zone" in arguments else ["--zone", zone]
    assert main(["verify", *arguments, *options]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"gatepost verify: {error}\n")


@pytest.mark.parametrize("when", ["", "yesterday", "@x", "2023-13-01", "@" + "9" * 40, "\n"])
def test_no_time(when: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["verify", "-", f"--date={when}"])
    assert caught.value.code == 2
    assert "is no time, such as 2023-11-14T22:13:20" in capsys.readouterr().err


def test_standard_input_and_a_reader_that_went_away(zone: str) -> None:
    command = [sys.executable, "-m", "gatepost", "verify", "-", "--zone", zone, *AT]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, input=SIGNED, capture_output=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.endswith(b"\nnothing fails\n")
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as pipe:
        gone = subprocess.run(
            command, cwd=root, input=SIGNED, stdout=pipe, stderr=subprocess.PIPE, timeout=PATIENCE
        )
    assert (gone.returncode, gone.stderr) == (141, b"")


def test_a_dead_server_is_named_once_for_all_questions(
    save: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with DnsServer({"*": ["TIMEOUT"]}) as server:
        config = tmp_path / "gatepost.yaml"
        config.write_text(
            "authserv_id: mx.example.org\ndaemons: {dkim-verify: {socket: inet:8891}}\n"
            f'dns: {{nameservers: ["{server.host}:{server.port}"], timeout: 200ms}}\n'
        )
        assert main(["verify", save(SIGNED), "--config", str(config), *AT]) == 1
    out = capsys.readouterr().out
    assert "DKIM   temperror: key lookup: timeout\n" in out
    assert "DMARC  temperror: DNS failure for _dmarc.example.nl\n" in out
    assert f"TXT mail._domainkey.example.nl: no answer in time (no answer from\n         {server.host}" in out


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00" * 100_000,
        bytes(range(256)) * 100,
        b"A: " + b"x" * 2_000_000 + b"\n\n",
        b"A: 1\n" * 2000,
        b"no header",
        b"From: \xff@\xff\nDKIM-Signature: \xff\nAuthentication-Results: \xff\n\n\x00\r\r\n",
        b"From: a@b.nl",
        b"DKIM-Signature:" + b";" * 40_000 + b"\n\n",
        b"From: a@example.nl\n" + b"Authentication-Results: \x1b[31m; \x1b[31m=\x1b\n" * 100 + b"\n",
    ],
)
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_garbage_is_judged_safely(
    raw: bytes, options: list[str], zone: str, save: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", save(raw), "--zone", zone, *STRANGER, *options]) == 1
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.replace("\n", "").isprintable()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    raw=st.binary(max_size=200)
    | st.lists(
        st.tuples(
            st.sampled_from(
                [b"From:", b"DKIM-Signature:", b"Authentication-Results:", b"Return-Path:", b" "]
            ),
            st.binary(max_size=40) | st.sampled_from([b" a@example.nl", b" v=1; a=rsa-sha256; d=x.nl; s=a"]),
        ).map(b"".join),
        max_size=6,
    ).map(b"\n".join),
    mail_from=st.text(max_size=20),
)
def test_any_octets(
    raw: bytes, mail_from: str, zone: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    options = ["--zone", zone, "--ip", "192.0.2.1", f"--from={mail_from}"]
    assert main(["verify", "-", *options]) in ((0, 1) if raw else (2,))
    captured = capsys.readouterr()
    assert captured.out.replace("\n", "").isprintable()
    assert bool(captured.err) != bool(captured.out)


def test_help_tells_the_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["verify", "--help"])
    assert "exit status: 0 nothing fails" in capsys.readouterr().out
