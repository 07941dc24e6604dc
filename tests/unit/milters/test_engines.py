"""The same dialogues through both engines: what the MTA is told must be the same."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gatepost.config.sections import Limits
from milters.libmilter import check_environment
from tests.harness.milter_client import Address, Mail, MilterClient, Result
from tests.harness.waiting import PATIENCE
from tests.unit.milters.handlers import ScriptedHandler
from tests.unit.milters.serving import Server, libmilter_process, wait_until

LIMITS = Limits(header_fields=50, recipients=3)


@pytest.fixture(scope="module")
def asyncio_engine() -> Iterator[Address]:
    with Server(ScriptedHandler(), limits=LIMITS, progress_interval=0.05) as server:
        yield server.address


@pytest.fixture(scope="module")
def libmilter_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    path: Path = tmp_path_factory.mktemp("milter") / "socket"
    with libmilter_process(socket.AF_UNIX, path) as (address, _):
        yield address


@pytest.fixture(params=["asyncio_engine", "libmilter_engine"])
def engine(request: pytest.FixtureRequest) -> Address:
    address: Address = request.getfixturevalue(request.param)
    return address


HEADERS = [(b"X-A", b" 1"), (b"X-B", b" old"), (b"X-A", b" 2"), (b"x-a", b" 3"), (b"To", b" r\n\tfolded")]


def mail(subject: str, **more: Any) -> Mail:
    plain = Mail(headers=[(b"Subject", b" " + subject.encode()), *HEADERS], body=b"Hello\r\n")
    return dataclasses.replace(plain, **more)


def send(address: Address, message: Mail) -> Result:
    with MilterClient(address) as client:
        result = client.send(message)
        client.quit()
        assert client.at_end()
    return result


TOP: list[tuple[Any, ...]] = [("insert", 0, b"X-Seen", b" one"), ("insert", 0, b"X-Seen", b" two\n\tfolded")]
TOP += [("insert", 1, b"X-Seen", b" below")]

CASES: list[tuple[str, str, str, list[tuple[Any, ...]]]] = [
    ("accept", "accept", "", []),
    ("insert", "accept", "", TOP),
    (
        "order",
        "accept",
        "",
        [
            ("change", 3, b"X-A", b""),
            ("change", 2, b"x-a", b""),
            ("change", 1, b"X-A", b""),
            ("change", 1, b"X-B", b" new"),
            ("insert", 0, b"X-Seen", b" late"),
        ],
    ),
    ("empty", "accept", "", [("change", 1, b"X-B", b" ")]),
    ("octets", "accept", "", [("insert", 0, b"X-Seen", " één ✓".encode())]),
    ("reject", "reject", "", []),
    ("reply", "replycode", "550 5.7.1 100% sure, %s and %%", []),
    ("defer", "replycode", "451 4.7.1 Try again later", []),
    ("tempfail", "tempfail", "", []),
    ("discard", "discard", "", []),
    ("quarantine", "accept", "", [("insert", 0, b"X-Seen", b" held")]),
    ("inject-lf", "tempfail", "", []),
    ("inject-cr", "tempfail", "", []),
    ("inject-nul", "tempfail", "", []),
    ("inject-end", "tempfail", "", []),
    ("inject-name", "tempfail", "", []),
    ("inject-reply", "tempfail", "", []),
    ("wrong-code", "tempfail", "", []),
    ("wrong-class", "tempfail", "", []),
    ("index-0", "tempfail", "", []),
    ("huge", "tempfail", "", []),
    ("nothing", "tempfail", "", []),
    ("raise-examine", "tempfail", "", []),
    ("raise-body", "tempfail", "", []),
    ("raise-finish", "tempfail", "", []),
    ("raise-await", "tempfail", "", []),
    ("await", "accept", "", TOP),
]


@pytest.mark.parametrize(
    ("subject", "disposition", "reply", "changes"), CASES, ids=[case[0] for case in CASES]
)
def test_what_the_mta_is_told(
    engine: Address, subject: str, disposition: str, reply: str, changes: list[tuple[Any, ...]]
) -> None:
    result = send(engine, mail(subject))
    # MTAs do not tell "%%" from "%" in a reply: the client undoes the doubling.
    assert (result.disposition, result.reply, result.changes) == (disposition, reply, changes)


def test_quarantine_has_its_reason_on_one_line(engine: Address) -> None:
    assert send(engine, mail("quarantine")).quarantine == b"looks?odd"


def test_deletions_hit_the_fields_that_were_meant(engine: Address) -> None:
    result = send(engine, mail("order"))
    assert [name for name, _ in result.headers] == [b"X-Seen", b"Subject", b"X-B", b"To"]
    assert result.values(b"x-b") == [b" new"]


def test_slow_verdicts_bring_signs_of_life(engine: Address) -> None:
    result = send(engine, mail("slow"))
    assert result.disposition == "accept"
    assert result.progress >= 2


def facts(result: Result) -> list[str]:
    return [value.decode().partition("[")[2][:-1] for value in reversed(result.values(b"X-Seen"))]


def test_everything_that_was_said_is_seen(engine: Address) -> None:
    message = mail(
        "facts",
        client_address="2001:db8::1",
        recipients=[b"a@example.org", b"b@example.org"],
        macros={"mail": {"auth_authen": "jan", "auth_type": "plain"}, "eom": {"i": "4LATER"}},
        body=b"x" * 100_000,
    )
    with MilterClient(engine) as client:
        assert facts(client.send(message)) == [
            "2001:db8::1",
            "client.example.nl",
            "client.example.nl",
            "sender@example.nl",
            "a@example.org|b@example.org",
            "auth_authen=jan|i=4LATER|j=mx.example.org",
            "Subject: facts|X-A: 1|X-B: old|X-A: 2|x-a: 3|To: r^\tfolded",
            "",
            "100000",
        ]


def test_a_second_message_has_nothing_of_the_first(engine: Address) -> None:
    with MilterClient(engine) as client:
        client.send(mail("insert", macros={"mail": {"auth_authen": "jan"}}, recipients=[b"a@x.example"]))
        second = facts(client.send(mail("facts", mail_from=b"", recipients=[b"b@x.example"], body=b"")))
    assert second[2:6] == ["client.example.nl", "", "b@x.example", "i=4GATEPOST1z|j=mx.example.org"]
    assert second[8] == "0"


def test_an_aborted_message_leaves_nothing(engine: Address) -> None:
    with MilterClient(engine) as client:
        steps = client.script.steps(mail("reject", macros={"mail": {"auth_authen": "jan"}}), new_session=True)
        for stage, data, _ in steps:
            client.raw(data)
            if stage in ("mail", "header", "body"):
                client.abort()
            if stage == "body":
                break
        client._in_session = True
        assert facts(client.send(mail("facts")))[5] == "i=4GATEPOST1z|j=mx.example.org"


def test_too_many_recipients_are_forgotten(engine: Address) -> None:
    many = [b"%d@x.example" % number for number in range(5)]
    assert facts(send(engine, mail("facts", recipients=many)))[4] == "0@x.example|1@x.example|2@x.example"


def test_too_many_header_fields_are_said(engine: Address) -> None:
    fields = [(b"Subject", b" facts"), *((b"X-%d" % number, b" v") for number in range(60))]
    seen = facts(send(engine, Mail(headers=fields)))
    assert seen[7] == "more than 50 header fields"
    assert seen[6].count("|") == 49


@pytest.mark.parametrize("address", ["", "192.0.2.7", "2001:db8::7"])
def test_client_addresses(engine: Address, address: str) -> None:
    assert facts(send(engine, mail("facts", client_address=address)))[0] == address


def test_octets_that_are_no_utf8_lose_no_mail(engine: Address) -> None:
    strange = b"caf\xe9"
    message = mail(
        "facts",
        helo=strange,
        mail_from=strange + b"@x.example",
        recipients=[strange + b"@y.example"],
        macros={"mail": {"auth_authen": strange.decode("utf-8", "surrogateescape")}},
    )
    assert send(engine, message).disposition == "accept"


def test_an_mta_that_offers_little(engine: Address) -> None:
    # Version 2, no steps but those of old: every step is answered, and values come without their space.
    with MilterClient(engine, version=2, actions=0x3F, steps=0x7F) as client:
        assert client.negotiated.steps & ~0x7F == 0
        result = client.send(mail("facts"))
    assert facts(result)[6] == "Subject: facts|X-A: 1|X-B: old|X-A: 2|x-a: 3|To: r^\tfolded"
    assert result.values(b"X-Seen")[-1].startswith(b" 0 [")


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET])
def test_libmilter_lets_a_message_end_and_takes_no_other(tmp_path: Path, family: int) -> None:
    with libmilter_process(family, tmp_path / "socket", "10") as (address, process):
        with MilterClient(address) as client:

            def stop(stage: str) -> None:
                if stage == "eom":
                    process.stdin.close()
                    assert process.stdout.readline() == b"stopping\n"

            result = client.send(mail("slow"), before=stop)
            assert result.disposition == "accept"
            assert result.changes == TOP
        assert process.stdout.readline() == b"stopped\n"
        assert process.wait(PATIENCE) == 0


def test_libmilter_lets_go_of_what_is_gone(tmp_path: Path) -> None:
    with libmilter_process(socket.AF_UNIX, tmp_path / "socket") as (address, process):
        with MilterClient(address) as client:
            # A verdict that never comes: a sign of life finds the connection closed.
            client.raw(b"".join(data for _, data, _ in client.script.steps(mail("never"), new_session=True)))
            assert client.read_packet()[0] == b"p"

        def cancelled() -> int:
            process.stdin.write(b"\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        wait_until(lambda: cancelled() == 1)
        assert send(address, mail("insert")).changes == TOP


@pytest.mark.parametrize(
    ("workers", "version", "word"),
    [(1, (3, 11, 2), None), (2, (3, 11, 2), "one worker"), (1, (3, 14, 0), "3.14.2"), (1, (3, 14, 2), None)],
)
def test_where_libmilter_can_be_used(workers: int, version: tuple[int, ...], word: str | None) -> None:
    reason = check_environment(workers, version)
    assert reason is None if word is None else word in str(reason)
