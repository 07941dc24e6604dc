"""``gatepost keygen``: the key, its file, its record in every form, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import stat
from base64 import b64decode
from pathlib import Path
from typing import Any

import dns.rdatatype
import dns.zone
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from hypothesis import given
from hypothesis import strategies as st

from gatepost.cli import main
from gatepost.dkim.keys.keyfile import KeyRules, load_private_key
from gatepost.dkim.keys.make import write_key
from gatepost.dkim.publish import bind, quoted_strings, record_text, strings
from gatepost.dkim.record import KeyRecord, parse_record
from tests.unit.dkim.support import ed25519_key, rsa_key


def zone_texts(text: str) -> list[bytes]:
    """The TXT records that a DNS server would read from *text*."""
    zone = dns.zone.from_text(
        f"$TTL 1\n@ IN SOA a. b. 1 1 1 1 1\n@ IN NS a.\n{text}\n", origin="example.nl.", relativize=False
    )
    records: Any = zone.iterate_rdatas(dns.rdatatype.TXT)
    return [b"".join(record.strings) for _, _, record in records]


@pytest.mark.parametrize(
    ("options", "kind", "bits"),
    [
        ([], RSAPublicKey, 2048),
        (["--bits", "3072"], RSAPublicKey, 3072),
        (["--type", "ed25519"], Ed25519PublicKey, 256),
    ],
)
def test_key_and_record_belong_together(
    options: list[str], kind: type, bits: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["keygen", "Example.NL", "--selector", "2026a", "--directory", str(tmp_path / "new" / "keys")]
    assert main([*common, *options, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    file = tmp_path / "new/keys/example.nl/2026a.private"
    assert (report["file"], report["name"]) == (str(file), "2026a._domainkey.example.nl")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o750
    assert os.listdir(file.parent) == ["2026a.private"]
    key = load_private_key(file, KeyRules())
    record = parse_record(report["record"].encode())
    assert isinstance(record, KeyRecord)
    assert isinstance(record.key, kind)
    assert (record.key, record.bits, record.testing) == (key.public_key(), bits, False)
    assert zone_texts(report["bind"]) == [report["record"].encode()]
    update = report["nsupdate"].split("\n")
    assert update[0] == "update delete 2026a._domainkey.example.nl. TXT"
    added = re.fullmatch(r"update add (\S+) (\d+) (TXT .*)", update[1])
    assert added
    assert zone_texts(f"{added[1]} {added[2]} IN {added[3]}") == [report["record"].encode()]
    assert update[2] == "send"


def test_it_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "key"
    arguments = ["keygen", "example.nl", "--type", "ed25519", "--testing", "--output", str(file)]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    record = re.search(r"v=DKIM1; k=ed25519; t=y; p=\S{44}", out)
    assert record
    public = parse_record(record[0].encode())
    assert isinstance(public, KeyRecord)
    assert public.testing
    text = " ".join(out.split())
    assert f"- {{domain: example.nl, selector: mail, file: {file}}}" in out
    for part in (
        "Publish the record",
        "gatepost testkey example.nl --selector mail",
        "RSA key",
        "without t=y",
    ):
        assert part in text


def test_an_rsa_key_needs_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keygen", "example.nl", "--output", str(tmp_path / "key")]) == 0
    assert "stand beside" not in capsys.readouterr().out


@pytest.mark.parametrize("form", ["bind", "line", "nsupdate"])
def test_one_form_alone(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["keygen", "example.nl", "--type", "ed25519", "--output", str(tmp_path / "key")]
    assert main([*arguments, "--format", form]) == 0
    captured = capsys.readouterr()
    first = {
        "bind": 'mail._domainkey.example.nl. IN TXT "v=DKIM1;',
        "line": "mail._domainkey.example.nl v=DKIM1;",
        "nsupdate": "update delete mail._domainkey.example.nl. TXT\n",
    }[form]
    assert captured.out.startswith(first)
    assert "next" not in captured.out
    assert captured.err == f"gatepost keygen: the key is in {tmp_path}/key\n"


def test_a_key_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "key"
    file.write_text("precious")
    arguments = ["keygen", "example.nl", "--type", "ed25519", "--output", str(file)]
    assert main(arguments) == 1
    assert capsys.readouterr().err == (
        f"gatepost keygen: {file} is there already: choose another --selector, or replace it with --force\n"
    )
    assert file.read_text() == "precious"
    assert main([*arguments, "--force"]) == 0
    assert b"PRIVATE KEY" in file.read_bytes()
    assert os.listdir(tmp_path) == ["key"]


def test_a_key_made_in_the_meantime_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    file.write_text("precious")
    monkeypatch.setattr(os.path, "lexists", lambda path: False)
    with pytest.raises(FileExistsError):
        write_key(file, b"new", None)
    assert (file.read_text(), os.listdir(tmp_path)) == ("precious", ["key"])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["example.nl", "--bits", "1024"], "shorter keys than 2048 bits are not made"),
        (["example.nl", "--bits", "16384"], "verifiers refuse more than 8192 bits"),
        (["example.nl", "--bits", "x"], "shorter keys"),
        (["example.nl", "--type", "dsa"], "invalid choice"),
        (["example.nl", "--type", "ed25519", "--bits", "2048"], "--bits is for RSA"),
        (["example.nl", "--selector", "../x"], "is not a selector"),
        (["ex ample", "--selector", "x"], "is not a domain"),
        (["../etc", "--selector", "x"], "is not a domain"),
        (["example.nl", "--output", "a", "--directory", "b"], "not allowed with"),
    ],
)
def test_wrong_arguments(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = main(["keygen", *arguments])
    except SystemExit as error:
        status = int(error.code or 0)
    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    assert text in captured.err


def test_a_place_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    place = str(tmp_path / "file" / "key")
    assert main(["keygen", "example.nl", "--type", "ed25519", "--output", place]) == 1
    assert capsys.readouterr().err.endswith("Not a directory\n")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=700))
def test_a_zone_file_gives_the_text_back(text: str) -> None:
    assert zone_texts(bind("mail._domainkey.example.nl", text)) == [text.encode()]
    assert "".join(strings(text)) == text
    assert all(len(piece) <= 255 for piece in strings(text))


def test_record_texts() -> None:
    seed = record_text(ed25519_key().public_key())
    assert seed == "v=DKIM1; k=ed25519; p=A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
    assert len(b64decode(seed.partition("p=")[2])) == 32
    assert quoted_strings(seed) == f'"{seed}"'
    assert len(strings(record_text(rsa_key().public_key()))) == 2


def test_root_gives_the_key_to_the_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given_away: list[tuple[str, int, int]] = []

    def chown(place: Path | int, user: int, group: int) -> None:
        path = os.readlink(f"/proc/self/fd/{place}") if isinstance(place, int) else str(place)
        given_away.append((path, user, group))

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", chown)
    write_key(tmp_path / "new" / "key", b"secret", (12, 34))
    directory, file = given_away
    assert directory == (f"{tmp_path}/new", 12, 34)
    assert file[0].startswith(f"{tmp_path}/new/.key.")
    assert file[1:] == (12, 34)


@pytest.mark.parametrize(
    ("owner", "group", "mode", "shared"),
    [
        (0, 34, 0o750, True),
        (0, 34, 0o770, False),
        (0, 34, 0o755, False),
        (0, 34, 0o700, False),
        (0, 0, 0o750, False),
        (12, 34, 0o750, False),
    ],
)
def test_a_directory_that_root_keeps_for_a_group_gives_the_key_to_it(
    owner: int,
    group: int,
    mode: int,
    shared: bool,
    open_place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    monkeypatch.setattr("gatepost.cli.keygen._group_name", lambda number: f"number {number}")
    keys = open_place / "keys"
    keys.mkdir()
    os.chown(keys, owner, group)
    keys.chmod(mode)
    assert main(["keygen", "example.nl", "--type", "ed25519", "--directory", str(keys)]) == 0
    status = (keys / "example.nl" / "mail.private").stat()
    seen = (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode))
    assert seen == ((0, group, 0o640) if shared else (0, 0, 0o600))
    assert (keys / "example.nl").stat().st_gid == (group if shared else 0)
    readers = f"root and the group number {group}" if shared else "its owner alone"
    assert f"readable by {readers}\n" in capsys.readouterr().out
