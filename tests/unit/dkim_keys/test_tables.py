from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gatepost.dkim.keys.keydata import PrivateKey
from gatepost.dkim.keys.sources import KeySources
from gatepost.dkim.signing_key import KeyUnavailableError
from tests.harness.clock import Seconds
from tests.unit.dkim_keys.conftest import Keys, pem, public, write_key
from tests.unit.dkim_keys.support import names, problems, sources, texts, write


class Tables:
    """The two tables of one test."""

    def __init__(self, directory: Path, key_file: Path) -> None:
        self.directory = directory
        self.key_file = key_file
        self.keys = directory / "KeyTable"
        self.senders = directory / "SigningTable"

    def options(
        self, keys: str, senders: str, key_type: str = "", sender_type: str = "refile:"
    ) -> dict[str, Any]:
        write(self.keys, keys.replace("<key>", str(self.key_file)).replace("<dir>", str(self.directory)))
        write(self.senders, senders)
        return {"key_table": f"{key_type}{self.keys}", "signing_table": f"{sender_type}{self.senders}"}

    def build(self, keys: str, senders: str, key_type: str = "", sender_type: str = "refile:") -> KeySources:
        return sources(**self.options(keys, senders, key_type, sender_type))

    def texts(self, keys: str, senders: str, key_type: str = "", sender_type: str = "refile:") -> list[str]:
        return texts(problems(**self.options(keys, senders, key_type, sender_type)))


@pytest.fixture
def tables(tmp_path: Path, key_file: Path) -> Tables:
    return Tables(tmp_path, key_file)


KEYS = """\
# name          domain:selector:key
own             %:own:<key>
mail._domainkey.example.nl  example.nl:mail:<key>   # the usual one
  indented\tExample.ORG : S2 : <key>
dotted          example.com.:s3:<key>
"""


@pytest.mark.parametrize(
    ("senders", "sender", "expected"),
    [
        ("*@example.nl mail._domainkey.example.nl", "anna@example.nl", [("example.nl", "mail", "")]),
        ("*@example.nl mail._domainkey.example.nl", "anna@sub.example.nl", []),
        ("*@Example.NL\tmail._domainkey.example.nl # c", "anna@example.nl", [("example.nl", "mail", "")]),
        ("  *@example.nl indented", "anna@example.nl", [("example.org", "s2", "")]),
        ("* dotted", "anna@example.nl", [("example.com", "s3", "")]),
        ("* own", "anna@example.nl", [("example.nl", "own", "")]),
        ("*@*.example.nl own", "anna@a.b.example.nl", [("a.b.example.nl", "own", "")]),
        ("ANNA@example.nl own", "Anna@example.nl", [("example.nl", "own", "")]),
        ("*@münchen.example own", "a@xn--mnchen-3ya.example", [("xn--mnchen-3ya.example", "own", "")]),
        # i=
        ("* own:signer@example.nl", "anna@example.nl", [("example.nl", "own", "signer@example.nl")]),
        ("* own: signer@foo.% ", "anna@example.nl", [("example.nl", "own", "signer@foo.example.nl")]),
        ("* own:@%", "anna@example.nl", [("example.nl", "own", "@example.nl")]),
        ("* own:x@other.org", "anna@example.nl", [("example.nl", "own", "")]),
        ("* indented:signer@%", "anna@example.nl", [("example.org", "s2", "")]),
        # several
        (
            "*@example.nl own\n*@example.org indented\nanna@* dotted",
            "anna@example.nl",
            [("example.nl", "own", ""), ("example.com", "s3", "")],
        ),
        ("* own\n*@example.nl own:@%", "anna@example.nl", [("example.nl", "own", "")]),
    ],
)
def test_patterns(tables: Tables, senders: str, sender: str, expected: list[tuple[str, str, str]]) -> None:
    assert names(tables.build(KEYS, senders), sender) == expected


FLAT = ["u@a.b.c", "a.b.c", "u@.b.c", ".b.c", "u@.c", ".c", "u@*", "*"]
FLAT_KEYS = "".join(f"k{number} d{number}.example:s:<key>\n" for number in range(len(FLAT)))


@pytest.mark.parametrize(
    ("sender", "rules"),
    [
        ("u@a.b.c", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("U@a.b.c", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("v@a.b.c", [1, 3, 5, 7]),
        ("u@b.c", [4, 5, 6, 7]),
        ("u@x.a.b.c", [2, 3, 4, 5, 6, 7]),
        ("u@c", [6, 7]),
        ("v@x", [7]),
    ],
)
@pytest.mark.parametrize("sender_type", ["", "file:"])
def test_a_flat_table_is_searched_from_narrow_to_wide(
    tables: Tables, sender: str, rules: list[int], sender_type: str
) -> None:
    lines = "".join(f"{name} k{number}\n" for number, name in reversed(list(enumerate(FLAT))))
    found = names(tables.build(FLAT_KEYS, lines, sender_type=sender_type), sender)
    assert [domain for domain, _, _ in found] == [f"d{number}.example" for number in rules]


def test_two_lines_for_one_sender_in_a_flat_table(tables: Tables, keys: Keys) -> None:
    write_key(tables.directory / "ed.private", keys.ed25519)
    found = tables.build(
        "rsa a.example:rsa:<key>\ned a.example:ed:<dir>/ed.private\n",
        "a.example ed\na.example rsa\n",
        sender_type="file:",
    )
    assert [key.algorithm for key in found.find("anna", "a.example")] == ["ed25519-sha256", "rsa-sha256"]


def test_a_key_table_of_patterns(tables: Tables) -> None:
    found = tables.build(
        "k* first.example:s:<key>\nkx second.example:s:<key>\nother third.example:s:<key>\n* %:rest:<key>\n",
        "a@* kx\nb@* other\nc@* %\nd@* KY\n",
        key_type="refile:",
    )
    assert names(found, "a@x.example") == [("first.example", "s", "")]
    assert names(found, "b@x.example") == [("third.example", "s", "")]
    assert names(found, "c@x.example") == [("x.example", "rest", "")]
    assert names(found, "d@x.example") == [("x.example", "rest", "")]


def test_a_key_named_after_the_senders_domain(tables: Tables) -> None:
    found = tables.build("example.nl example.nl:mail:<key>\n", "* %\n")
    assert names(found, "anna@example.nl") == [("example.nl", "mail", "")]
    expected = (
        f"{tables.senders}:1 asks for a key named after the sender's domain, and the key table has none"
    )
    with pytest.raises(KeyUnavailableError) as caught:
        found.find("anna", "example.org")
    assert str(caught.value) == expected
    assert found.explain("anna", "example.org") == expected


def test_a_file_named_after_the_senders_domain(tables: Tables, keys: Keys) -> None:
    write_key(tables.directory / "example.nl" / "mail.private", keys.rsa)
    found = tables.build("all %:mail:<dir>/%/mail.private\n", "* all\n")
    assert names(found, "anna@example.nl") == [("example.nl", "mail", "")]
    with pytest.raises(KeyUnavailableError, match=r"example\.org/mail\.private does not exist"):
        found.find("anna", "example.org")
    assert names(found, "anna@../example.nl") == []
    assert found.check_all() == []


@pytest.mark.parametrize("fallback", ["%", "path"])
def test_a_rule_for_all_domains_may_fail_behind_one_that_gives_a_key(tables: Tables, fallback: str) -> None:
    found = tables.build(
        "one a.example:s:<key>\npath %:t:<dir>/%/mail.private\n", f"*@a.example one\n* {fallback}\n"
    )
    assert names(found, "anna@a.example") == [("a.example", "s", "")]
    with pytest.raises(KeyUnavailableError):
        found.find("anna", "b.example")


def test_a_named_key_may_not_be_missing_behind_another(tables: Tables) -> None:
    found = tables.build("one a.example:s:<key>\ntwo a.example:t:<dir>/none\n", "*@a.example one\n* two\n")
    with pytest.raises(KeyUnavailableError, match="none does not exist"):
        found.find("anna", "a.example")


def test_paths_from_the_working_directory(
    tables: Tables, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tables.directory / "work").mkdir()
    monkeypatch.chdir(tables.directory / "work")
    write_key(tables.directory / "work" / "here.private", keys.rsa)
    found = tables.build(
        "a a.example:s:./here.private\nb b.example:s:../rsa.private\n", "*@a.example a\n*@b.example b\n"
    )
    assert names(found, "anna@a.example") == [("a.example", "s", "")]
    assert names(found, "anna@b.example") == [("b.example", "s", "")]


def _base64(key: PrivateKey, form: PrivateFormat) -> str:
    return b64encode(key.private_bytes(Encoding.DER, form, NoEncryption())).decode()


def test_keys_in_the_table(tables: Tables, keys: Keys) -> None:
    lines = [
        _base64(keys.rsa, PrivateFormat.PKCS8),
        _base64(keys.rsa, PrivateFormat.TraditionalOpenSSL),
        pem(keys.rsa).decode().replace("\n", " "),
    ]
    seed = b64encode(keys.ed25519.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())).decode()
    table = "".join(f"k{number} %:s{number}:{line}\n" for number, line in enumerate([*lines, seed]))
    found = tables.build(table, "".join(f"u{number}@* k{number}\n" for number in range(4)))
    made: list[PrivateKey] = [keys.rsa, keys.rsa, keys.rsa, keys.ed25519]
    for number, expected in enumerate(made):
        (key,) = found.find(f"u{number}", "a.example")
        assert public(key.private) == public(expected)
    assert found.check_all() == []


def test_a_table_that_holds_keys_is_a_key_file(tables: Tables, keys: Keys) -> None:
    options = tables.options(f"k %:s:{_base64(keys.rsa, PrivateFormat.PKCS8)}\n", "* k\n")
    tables.keys.chmod(0o644)
    (text,) = texts(problems(**options))
    assert text == f"0: key_table: holds private keys and can be read by every user: chmod 640 {tables.keys}"
    sources(**options, require_safe_keys=False)
    tables.options("k %:s:<key>\n", "* k\n")
    tables.keys.chmod(0o644)
    sources(**options)


def test_a_damaged_key_in_the_table(tables: Tables) -> None:
    found = tables.build(f"# keys\nk %:s:{'A' * 60}\n", "* k\n")
    expected = f"{tables.keys}:2: the key in this line is damaged, or not a private key"
    with pytest.raises(KeyUnavailableError) as caught:
        found.find("anna", "a.example")
    assert expected in str(caught.value)
    assert "AAAA" not in str(caught.value)
    (problem,) = found.check_all()
    assert (problem.file, problem.line) == (str(tables.keys), 2)


def test_lists_in_place_of_files(key_file: Path) -> None:
    found = sources(
        key_table=f"csl:k=a.example:s:{key_file}", signing_table="csl:a.example=k:@%, .b.example=k"
    )
    assert names(found, "anna@a.example") == [("a.example", "s", "@a.example")]
    assert names(found, "anna@x.b.example") == [("a.example", "s", "")]
    assert found.watched_files() == []


def test_problems_name_file_and_line(tables: Tables) -> None:
    keys = "\n".join(
        [
            "# keys",
            "good a.example:s:<key>",
            "few a.example:s",
            "empty",
            "blank a.example::<key>",
            "domain foo.%:s:<key>",
            "selector a.example:%:<key>",
            "path a.example:s:k.pem",
            "good b.example:s:<key>",
            "good a.example:s:<key>",
        ]
    )
    senders = (
        "*@a.example good\n*@b.example god\n*@c.example\n* good:nobody\n* good:%\n* good : @%\n"
        "*ü@* good\n*@*ü good"
    )
    expected = "expected domain:selector:path, such as example.nl:mail:/etc/gatepost/keys/mail.private"
    found = problems(**tables.options(keys, senders))
    assert {problem.file for problem in found[:7]} == {str(tables.keys)}
    assert {problem.file for problem in found[7:]} == {str(tables.senders)}
    assert texts(found) == [
        f'3: key_table: key "few": {expected}',
        f'4: key_table: key "empty": {expected}',
        f'5: key_table: key "blank": {expected}',
        '6: key_table: key "domain": "foo.%" is not a domain',
        '7: key_table: key "selector": "%" is not a selector: letters, digits and hyphens, such as mail or 2026a',
        '8: key_table: key "path": "k.pem" is neither a key nor a path: a path starts with /, ./ or ../',
        '9: key_table: key "good" stands on line 2 already: remove one of them',
        f'2: signing_table: sender "*@b.example": key "god" is not in the key table {tables.keys}',
        '3: signing_table: sender "*@c.example": the name of its key is missing behind it',
        '4: signing_table: sender "*": "nobody" is not an identity: @domain or user@domain',
        '5: signing_table: sender "*": "%" is not an identity: @domain or user@domain',
        '8: signing_table: sender "*@*ü": "*@*ü" does not end in a domain',
    ]


@pytest.mark.parametrize("sender", ["*@a.example", "a*@a.example", "*@*", "a*"])
def test_a_pattern_in_a_flat_table_is_told(tables: Tables, sender: str) -> None:
    (text,) = tables.texts("k %:s:<key>\n", f"{sender} k\n", sender_type="file:")
    assert text.endswith(f'"{sender}" is a pattern: write refile: in front of the file\'s name')


def test_a_file_of_the_wrong_kind_does_not_flood(tables: Tables) -> None:
    found = tables.texts("nonsense\n" * 1000, "")
    assert len(found) == 20
    assert found[-1].endswith("(further problems of this file are not shown)")


def test_files_that_are_no_tables(tables: Tables) -> None:
    options = tables.options("", "")
    tables.keys.write_bytes(b"k %:s:/x\nk\xff\n")
    tables.senders.unlink()
    assert texts(problems(**options)) == [
        "2: key_table: is not text in UTF-8",
        "0: signing_table: cannot be read: No such file or directory",
    ]


def test_one_table_needs_the_other(tables: Tables) -> None:
    options = tables.options("", "")
    assert texts(problems(key_table=options["key_table"])) == [
        "0: key_table: goes with signing_table, which is missing"
    ]
    assert texts(problems(signing_table=options["signing_table"])) == [
        "0: signing_table: goes with key_table, which is missing"
    ]
    found = texts(problems(key_table="dsn:mysql://x", signing_table="lua:/x"))
    assert [text.partition(" is not supported")[0] for text in found] == [
        "0: key_table: dsn: (an SQL database)",
        "0: signing_table: lua: (a Lua script)",
    ]


def test_keys_are_read_when_they_are_needed(tables: Tables, keys: Keys) -> None:
    options = tables.options("k %:s:<dir>/late.private\n", "*@a.example k\n")
    clock = Seconds()
    found = sources(clock, **options)
    (problem,) = found.check_all()
    assert (problem.file, problem.line, problem.key) == (str(tables.keys), 1, "daemons.dkim-sign.key_table")
    with pytest.raises(KeyUnavailableError, match=r"late\.private does not exist"):
        found.find("anna", "a.example")
    write_key(tables.directory / "late.private", keys.rsa)
    clock.now += 10
    assert names(found, "anna@a.example") == [("a.example", "s", "")]
    assert found.check_all() == []


def test_explain(tables: Tables) -> None:
    found = tables.build("k %:s:<key>\n", "# senders\n*@a.example k\nanna@* k\n")
    assert found.explain("anna", "a.example") == f"{tables.senders}:2, {tables.senders}:3"
    assert found.explain("bert", "b.example") == f"none of the 2 rules in {tables.senders} is for this sender"


def test_a_hundred_thousand_domains(tables: Tables) -> None:
    numbers = range(100_000)
    keys = "".join(f"mail._domainkey.d{n}.example d{n}.example:mail:<dir>/none/d{n}\n" for n in numbers)
    senders = "".join(f"*@d{n}.example mail._domainkey.d{n}.example\n" for n in numbers)
    found = tables.build(keys + "last x.example:mail:<key>\n", senders + "*@x.example last\n")
    assert names(found, "anna@x.example") == [("x.example", "mail", "")]
    with pytest.raises(KeyUnavailableError, match="none/d99999 does not exist"):
        found.find("anna", "d99999.example")
