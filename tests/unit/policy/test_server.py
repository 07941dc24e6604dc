"""The policy server on sockets: order, slowness, failure, garbage, many connections, and how it stops."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.config.sections import Limits
from policy.handler import DUNNO
from policy.terms import DEFER
from tests.harness.policy_client import USUAL, ClientError, PolicyClient, request
from tests.harness.waiting import PATIENCE
from tests.unit.milters.serving import wait_until
from tests.unit.policy.serving import PolicyServer

QUICK = Limits(idle_timeout=0.5, partial_timeout=0.5)


@pytest.fixture(params=["unix", "tcp"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "socket" if request.param == "unix" else None


def serves(server: PolicyServer) -> bool:
    with PolicyClient(server.address) as client:
        return client.ask(recipient="x@y") == "PREPEND X-Seen: x@y"


def test_many_requests_on_one_connection(path: Path | None) -> None:
    with PolicyServer(path) as server, PolicyClient(server.address) as client:
        for number in range(100):
            assert client.ask(recipient=str(number)) == f"PREPEND X-Seen: {number}"
        assert client.message(["a@x", "b@x"]) == ["PREPEND X-Seen: a@x", "PREPEND X-Seen: b@x"]
        assert server.worker.connections == 1
        seen = server.handler.requests[-1]
        assert {**seen.attributes, "instance": ""} == {**USUAL, "recipient": "b@x"}
        assert seen.instance == server.handler.requests[-2].instance != server.handler.requests[-3].instance
        assert len(server.metrics.message_seconds.observed) == 102


def test_what_a_service_reads_of_a_request(path: Path | None) -> None:
    with PolicyServer(path) as server, PolicyClient(server.address) as client:
        client.ask(
            sasl_username="anna", queue_id="4X", instance="1.2", sender=b"caf\xe9@x", client_address="::1"
        )
        client.raw(b"request=smtpd_access_policy\n\n")
        client.answer()
        full, empty = server.handler.requests
        assert (full.state, full.client_address, full.client_name) == ("RCPT", "::1", "mx.example.org")
        assert (full.helo, full.sender, full.recipient) == (
            "mx.example.org",
            "caf\udce9@x",
            "anna@example.nl",
        )
        assert (full.login, full.queue_id, full.instance) == ("anna", "4X", "1.2")
        assert (empty.state, empty.sender, empty.login, empty["no_such"]) == ("", "", "", "")


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_pipelined_requests_are_answered_in_order(path: Path | None, size: int) -> None:
    scripts = ["a", "wait", "b", "raise-later", "slow", "c", "wait", "raise"]
    stream = b"".join(
        request(sender=f"{script}@x", recipient=str(number)) for number, script in enumerate(scripts)
    )
    with PolicyServer(path) as server, PolicyClient(server.address) as client:
        server.open_gate()
        for start in range(0, len(stream), size):
            client.raw(stream[start : start + size])
        assert client.answers(8) == [
            "PREPEND X-Seen: 0",
            "PREPEND X-Waited: 1",
            "PREPEND X-Seen: 2",
            "DUNNO",
            "PREPEND X-Waited: 4",
            "PREPEND X-Seen: 5",
            "PREPEND X-Waited: 6",
            "DUNNO",
        ]


def test_answers_to_one_read_are_one_write(tmp_path: Path) -> None:
    with PolicyServer(tmp_path / "socket") as server, PolicyClient(server.address) as client:
        client.raw(request() * 20)
        assert client.socket.recv(65_536).count(b"action=") == 20


def test_a_slow_answer_holds_up_no_other_connection(path: Path | None) -> None:
    with (
        PolicyServer(path) as server,
        PolicyClient(server.address) as slow,
        PolicyClient(server.address) as quick,
    ):
        slow.raw(request(sender="wait@x", recipient="late") + request(recipient="later"))
        wait_until(lambda: len(server.handler.requests) == 1)
        assert quick.ask(recipient="now") == "PREPEND X-Seen: now"
        server.open_gate()
        assert slow.answers(2) == ["PREPEND X-Waited: late", "PREPEND X-Seen: later"]


def test_fifty_connections(path: Path | None) -> None:
    with PolicyServer(path) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(PolicyClient(server.address)) for _ in range(50)]
        for turn in range(5):
            for number, client in enumerate(clients):
                sender = "slow@x" if number % 3 == 0 else "x@y"
                client.raw(request(sender=sender, recipient=f"{number}.{turn}"))
            answers = [client.answer().rpartition(" ")[2] for client in clients]
            assert answers == [f"{number}.{turn}" for number in range(50)]
        assert server.metrics.connections.value == 50
        assert server.log.lines == []


FAULTS = ["raise", "raise-later", "none", "empty", "cancel"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("configured", "action"), [("accept", DUNNO), ("tempfail", DEFER)])
def test_a_fault_of_the_service_is_answered(tmp_path: Path, fault: str, configured: str, action: str) -> None:
    with PolicyServer(tmp_path / "socket", on_internal_error=configured) as server:
        with PolicyClient(server.address) as client:
            assert client.ask(sender=f"{fault}@x", instance="7.8") == action
            assert client.ask(recipient="x") == "PREPEND X-Seen: x"
        ((level, message, fields),) = server.log.lines
        assert (level, message) == ("error", "internal error")
        assert (fields["instance"], fields["client"], fields["queue_id"]) == ("7.8", "192.0.2.10", None)
        assert server.metrics.errors == ["internal"]


@pytest.mark.parametrize(("configured", "action"), [("accept", DUNNO), ("tempfail", DEFER)])
def test_a_service_that_takes_too_long_is_answered_for(
    path: Path | None, configured: str, action: str
) -> None:
    limits = Limits(answer_timeout=0.05)
    with PolicyServer(path, limits=limits, on_internal_error=configured) as server:
        with PolicyClient(server.address) as client:
            client.raw(request(sender="never@x") + request(recipient="x"))
            assert client.answers(2) == [action, "PREPEND X-Seen: x"]
        ((_, _, fields),) = server.log.lines
        assert "no answer after 0.05 s" in str(fields["error"])
        wait_until(lambda: server.handler.cancelled == 1)


def test_an_action_is_always_one_line(path: Path | None) -> None:
    with PolicyServer(path) as server, PolicyClient(server.address) as client:
        assert client.ask(sender="inject@x") == "DUNNO??action=REJECT??more"


UNUSABLE = [
    b"request=smtpd_access_policy\nsender\n\n",
    b"request=smtpd_access_policy\nsender=x\nsender=y\n\n",
    b"request=smtpd_access_policy\nsender=\0\n\n",
    b"request=something_else\n\n",
    b"request=smtpd_access_policy\nx=" + b"x" * 70_000 + b"\n\n",
    b"request=smtpd_access_policy\n" + b"".join(b"x%d=\n" % number for number in range(300)) + b"\n",
]


@pytest.mark.parametrize("data", UNUSABLE)
def test_a_request_that_cannot_be_used_is_answered(path: Path | None, data: bytes) -> None:
    with PolicyServer(path, on_internal_error="tempfail") as server:
        with PolicyClient(server.address) as client:
            client.raw(data)
            assert client.answer() == "DUNNO"
            client.raw(data)
            assert client.answer() == "DUNNO"
            assert client.ask(recipient="x") == "PREPEND X-Seen: x"
        assert [line[0] for line in server.log.lines] == ["warning"]
        assert server.metrics.errors == ["protocol", "protocol"]


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n\r\n", b"\n\n", b"\xff" * 70_000, b"\0\n\n", b"EHLO x\r\n\r\n"]
)
def test_garbage_is_one_line_and_the_end(path: Path | None, data: bytes) -> None:
    with PolicyServer(path) as server:
        with PolicyClient(server.address) as client:
            client.raw(request(recipient="x") + data)
            assert client.answer() == "PREPEND X-Seen: x"
            assert client.at_end()
        assert serves(server)
        assert [line[0] for line in server.log.lines] == ["info"]
        assert server.metrics.errors == ["protocol"]


def test_garbage_behind_a_slow_request_waits_for_its_answer(path: Path | None) -> None:
    with PolicyServer(path) as server, PolicyClient(server.address) as client:
        client.raw(request(sender="wait@x", recipient="x") + b"garbage\n\n")
        wait_until(lambda: len(server.handler.requests) == 1)
        server.open_gate()
        assert client.answer() == "PREPEND X-Waited: x"
        assert client.at_end()


def test_connections_that_break_at_every_point(path: Path | None) -> None:
    whole = request(sender="wait@x")
    with PolicyServer(path) as server:
        for end in range(0, len(whole) + 1, 5):
            with PolicyClient(server.address) as client:
                client.raw(whole[:end])
        wait_until(lambda: server.metrics.connections.value == 0)
        assert serves(server)
        assert server.log.lines == []


def test_a_client_that_leaves_before_the_answer(path: Path | None) -> None:
    with PolicyServer(path) as server:
        with PolicyClient(server.address) as client:
            client.raw(request(sender="wait@x"))
            wait_until(lambda: len(server.handler.requests) == 1)
        wait_until(lambda: server.handler.cancelled == 1)
        assert serves(server)
        assert server.log.lines == []


@pytest.mark.parametrize("sent", [b"", b"request=", request()[:-1], request(recipient="x")])
def test_silence_has_an_end(path: Path | None, sent: bytes) -> None:
    with PolicyServer(path, limits=QUICK) as server:
        with PolicyClient(server.address) as client:
            client.raw(sent)
            if sent.endswith(b"\n\n"):
                assert client.answer() == "PREPEND X-Seen: x"
            assert client.at_end()
        assert server.log.lines == []


def test_a_wait_for_an_answer_is_no_silence(path: Path | None) -> None:
    with (
        PolicyServer(path, limits=QUICK) as server,
        PolicyClient(server.address) as waiting,
        PolicyClient(server.address) as silent,
    ):
        waiting.raw(request(sender="wait@x", recipient="x"))
        assert silent.at_end()
        server.open_gate()
        assert waiting.answer() == "PREPEND X-Waited: x"


def flood(client: PolicyClient, data: bytes) -> None:
    for _ in range(1000):
        client.raw(data)


def test_a_flood_behind_a_slow_request_is_held_back(path: Path | None) -> None:
    with PolicyServer(path) as server, PolicyClient(server.address) as client:
        client.raw(request(sender="never@x"))
        client.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            flood(client, request() * 100)
        (connection,) = server.worker._connections
        assert connection.held < 1_000_000


def test_a_client_that_does_not_read_is_not_read(path: Path | None) -> None:
    with PolicyServer(path) as server:
        with PolicyClient(server.address) as client:
            client.socket.settimeout(0.2)
            with pytest.raises(TimeoutError):
                flood(client, b"request=smtpd_access_policy\n\n" * 10_000)
        wait_until(lambda: server.metrics.connections.value == 0)
        assert serves(server)


def test_connections_beyond_the_limit_wait(path: Path | None) -> None:
    with (
        PolicyServer(path, limits=Limits(connections=2)) as server,
        PolicyClient(server.address) as first,
        PolicyClient(server.address) as second,
    ):
        third = PolicyClient(server.address)
        third.raw(request(recipient="x"))
        assert first.ask(recipient="y") == second.ask(recipient="y")
        assert server.worker.connections == 2
        first.close()
        assert third.answer() == "PREPEND X-Seen: x"
        third.close()


@pytest.fixture
def stopping(path: Path | None) -> Iterator[PolicyServer]:
    with PolicyServer(path) as server:
        yield server


def test_stopping_answers_what_is_in_flight(stopping: PolicyServer) -> None:
    idle, silent = PolicyClient(stopping.address), PolicyClient(stopping.address)
    assert idle.ask(recipient="x") == "PREPEND X-Seen: x"
    with PolicyClient(stopping.address) as client:
        client.raw(request(sender="wait@x", recipient="1") + request(recipient="2"))
        wait_until(lambda: len(stopping.handler.requests) == 2)
        stop = stopping.begin_stop(PATIENCE)
        assert idle.at_end()
        assert silent.at_end()
        assert not stop.done()
        assert stopping.handler.closed == 0
        stopping.open_gate()
        assert client.answers(2) == ["PREPEND X-Waited: 1", "PREPEND X-Seen: 2"]
        assert client.at_end()
    stop.result(PATIENCE)
    assert stopping.handler.closed == 1
    with pytest.raises(OSError, match="refused"):
        PolicyClient(stopping.address)
    for other in (idle, silent):
        other.close()


def test_stopping_waits_no_longer_than_it_may(stopping: PolicyServer) -> None:
    with PolicyClient(stopping.address) as client:
        client.raw(request(sender="never@x"))
        wait_until(lambda: len(stopping.handler.requests) == 1)
        stopping.begin_stop(0.1).result(PATIENCE)
        with pytest.raises((ClientError, ConnectionError)):
            client.answer()
    assert (stopping.handler.cancelled, stopping.handler.closed) == (1, 1)


def test_ipv6() -> None:
    server = PolicyServer()
    server.listener.close()
    server.listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    server.address = server.listener.getsockname()[:2]
    with server:
        assert serves(server)
