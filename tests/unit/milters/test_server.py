"""The asyncio engine on sockets: connections that break, stall, flood or wait, and how it stops."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from concurrent.futures import TimeoutError as FuturesTimeout
from pathlib import Path
from typing import Any

import pytest

from gatepost.config.sections import Limits
from tests.harness.milter_client import Mail, MilterClient, offer, packet
from tests.harness.waiting import PATIENCE
from tests.unit.milters.handlers import ScriptedHandler
from tests.unit.milters.serving import Server, wait_until


def mail(subject: str, body: bytes = b"Hello\r\n") -> Mail:
    return Mail(headers=[(b"Subject", b" " + subject.encode()), (b"To", b" x")], body=body)


def serves(server: Server) -> bool:
    with MilterClient(server.address) as client:
        return client.send(mail("discard")).disposition == "discard"


async def turns(number: int) -> None:
    """Let the event loop come round so often."""
    for _ in range(number):
        await asyncio.sleep(0)


def flood(client: MilterClient, data: bytes) -> None:
    for _ in range(1000):
        client.raw(data)


@pytest.fixture(params=["unix", "tcp"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "socket" if request.param == "unix" else None


def test_a_message_is_two_writes(path: Path | None) -> None:
    with Server(ScriptedHandler(), path) as server, MilterClient(server.address) as client:
        assert client.send(mail("insert")).disposition == "accept"
        assert client.writes == 2  # the offer, and the message
        assert client.send(mail("insert")).disposition == "accept"
        assert client.writes == 3


def test_connections_are_counted(path: Path | None) -> None:
    with Server(ScriptedHandler(), path) as server:
        with MilterClient(server.address) as one, MilterClient(server.address):
            assert server.metrics.connections.value == 2
            one.quit()
            assert one.at_end()
        wait_until(lambda: server.metrics.connections.value == 0)


def test_a_probe_logs_nothing(path: Path | None) -> None:
    with Server(ScriptedHandler(), path) as server:
        for _ in range(3):
            MilterClient(server.address, negotiate=False).close()
        wait_until(lambda: server.metrics.connections.value == 0)
        assert serves(server)
        assert server.log.lines == []


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\0Q", b"\xff" * 100, packet(b"M", b"<>\0"), packet(b"O", b"short")],
)
def test_garbage_is_one_line_and_the_end(path: Path | None, data: bytes) -> None:
    with Server(ScriptedHandler(), path) as server:
        with MilterClient(server.address, negotiate=False) as client:
            client.raw(data)
            assert client.at_end()
        assert serves(server)
        assert [line[0] for line in server.log.lines] == ["info"]
        assert server.metrics.errors == ["protocol"]


def test_garbage_after_each_step(path: Path | None) -> None:
    with Server(ScriptedHandler(), path) as server:
        with MilterClient(server.address) as client:
            steps = client.script.steps(mail("accept"), new_session=True)
        for number in range(len(steps)):
            with MilterClient(server.address) as client:
                client.raw(b"".join(data for _, data, _ in steps[:number]))
                client.raw(b"\0\0\0\0garbage")
                assert client.at_end()
        assert serves(server)
        assert {line[0] for line in server.log.lines} == {"info"}
        assert server.metrics.errors == ["protocol"] * len(steps)


def test_connections_that_break_at_every_point(path: Path | None) -> None:
    with Server(ScriptedHandler(), path) as server:
        with MilterClient(server.address) as client:
            steps = client.script.steps(mail("await"), new_session=True)
        whole = offer() + b"".join(data for _, data, _ in steps)
        for end in range(0, len(whole) + 1, 3):
            with MilterClient(server.address, negotiate=False) as client:
                client.raw(whole[:end])
        wait_until(lambda: server.metrics.connections.value == 0)
        assert serves(server)
        assert server.log.lines == []


def test_a_packet_beyond_the_limit(path: Path | None) -> None:
    with Server(ScriptedHandler(), path, limits=Limits(packet=1000)) as server:
        with MilterClient(server.address) as client:
            client.raw(struct.pack("!I", 1001) + b"B")
            assert client.at_end()
        assert serves(server)


@pytest.mark.parametrize("sent", [b"", offer()[:3], offer(), offer() + packet(b"H", b"x\0")[:6]])
def test_silence_has_an_end(path: Path | None, sent: bytes) -> None:
    limits = Limits(idle_timeout=0.5, partial_timeout=0.5)
    with Server(ScriptedHandler(), path, limits=limits) as server:
        with MilterClient(server.address, negotiate=False) as client:
            client.raw(sent)
            if sent.startswith(offer()):
                client.read_packet()
            assert client.at_end()
        assert server.log.lines == []


def test_a_packet_that_comes_drop_by_drop_has_an_end(path: Path | None) -> None:
    limits = Limits(idle_timeout=60, partial_timeout=0.1)
    with Server(ScriptedHandler(), path, limits=limits) as server, MilterClient(server.address) as client:
        client.socket.settimeout(0.005)
        client.raw(struct.pack("!I", 100_000) + b"B")

        def closed() -> bool:
            try:
                client.raw(b"x")
                return client.at_end()
            except TimeoutError:
                return False
            except ConnectionError:
                return True

        wait_until(closed)


def test_a_wait_for_a_verdict_is_no_silence(path: Path | None) -> None:
    limits = Limits(idle_timeout=0.1, partial_timeout=0.1)
    with (
        Server(ScriptedHandler(), path, limits=limits, progress_interval=0.05) as server,
        MilterClient(server.address) as client,
    ):
        result = client.send(mail("slow"))
        assert result.disposition == "accept"
        assert result.progress >= 1


def test_connections_beyond_the_limit_wait(path: Path | None) -> None:
    with Server(ScriptedHandler(), path, limits=Limits(connections=2)) as server:
        first, second = MilterClient(server.address), MilterClient(server.address)
        third = MilterClient(server.address, negotiate=False)
        third.raw(offer())
        assert first.send(mail("discard")).disposition == "discard"
        assert server.worker.connections == 2
        first.close()
        assert third.read_packet()[0] == b"O"
        second.close()
        third.close()


def test_a_client_that_leaves_before_the_verdict(path: Path | None) -> None:
    with Server(ScriptedHandler(), path) as server:
        with MilterClient(server.address) as client:
            steps = client.script.steps(mail("never"), new_session=True)
            client.raw(b"".join(data for _, data, _ in steps))
            wait_until(lambda: server.handler.examined == 1)
            assert server.handler.cancelled == 0
        wait_until(lambda: server.handler.cancelled == 1)
        assert serves(server)
        assert server.log.lines == []


def test_a_verdict_that_never_comes(path: Path | None) -> None:
    with (
        Server(ScriptedHandler(), path, progress_interval=0.03, finish_timeout=0.1) as server,
        MilterClient(server.address) as client,
    ):
        result = client.send(mail("never"))
        assert (result.disposition, result.progress) == ("tempfail", 3)
        assert server.handler.cancelled == 1
        assert server.log.count("error") == 1
        assert client.send(mail("discard")).disposition == "discard"


def test_a_flood_while_a_verdict_is_awaited_is_held_back(path: Path | None) -> None:
    with Server(ScriptedHandler(), path) as server, MilterClient(server.address) as client:
        steps = client.script.steps(mail("never"), new_session=True)
        client.raw(b"".join(data for _, data, _ in steps))
        client.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            flood(client, packet(b"B", b"x" * 60_000))
        (connection,) = server.worker._connections
        assert connection.held < 1_000_000


def test_a_client_that_does_not_read_is_not_read(path: Path | None) -> None:
    with Server(ScriptedHandler(), path) as server:
        with MilterClient(server.address, steps=0) as client:
            client.socket.settimeout(0.2)
            with pytest.raises(TimeoutError):
                flood(client, packet(b"U", b"x\0") * 10_000)
        wait_until(lambda: server.metrics.connections.value == 0)
        assert serves(server)


def test_stopping_lets_a_message_end(path: Path | None) -> None:
    with Server(ScriptedHandler(), path) as server:
        idle = MilterClient(server.address)
        silent = MilterClient(server.address, negotiate=False)
        futures: list[Any] = []
        with MilterClient(server.address) as client:

            def stop(stage: str) -> None:
                if stage == "header" and not futures:
                    futures.append(server.begin_stop(PATIENCE))
                    assert silent.at_end()  # nothing has been said there
                    assert idle.at_end()  # and there nothing for a second

            result = client.send(mail("slow"), before=stop)
            assert result.disposition == "accept"
            client.quit()
        futures[0].result(PATIENCE)
        assert server.metrics.connections.value == 0
        with pytest.raises(OSError, match="refused"):
            MilterClient(server.address)
        for other in (idle, silent):
            other.close()


def test_who_has_just_connected_may_still_speak(path: Path | None) -> None:
    """A machine may be busy between an MTA's connect() and its first write: that mail is not to be put off."""
    with Server(ScriptedHandler(), path, idle_grace=PATIENCE) as server:
        other = MilterClient(server.address)
        with MilterClient(server.address, negotiate=False) as late:
            wait_until(lambda: server.worker.connections == 2)
            stopping = server.begin_stop(PATIENCE, asyncio.Event())
            wait_until(lambda: not server.worker._sockets)
            other.quit()
            assert other.at_end()
            wait_until(lambda: server.worker.connections < 2)
            asyncio.run_coroutine_threadsafe(turns(20), server.loop).result(
                PATIENCE
            )  # all are looked at again
            late.negotiate()
            assert late.send(mail("accept")).disposition == "accept"
            late.quit()
        other.close()
        stopping.result(PATIENCE)


def test_where_others_serve_already_a_session_may_go_on(path: Path | None) -> None:
    with Server(ScriptedHandler(), path) as server:
        hurry = asyncio.Event()
        with MilterClient(server.address) as client, MilterClient(server.address) as idle:
            stopping = server.begin_stop(PATIENCE, hurry)
            with pytest.raises(FuturesTimeout):
                stopping.result(1.5)
            assert client.send(mail("accept")).disposition == "accept"
            client.quit()
            server.loop.call_soon_threadsafe(hurry.set)
            assert idle.at_end()
        stopping.result(PATIENCE)


def test_nobody_is_waited_for_to_the_last_moment(tmp_path: Path) -> None:
    with Server(ScriptedHandler(), tmp_path / "socket") as server, MilterClient(server.address) as idle:
        began = time.monotonic()
        server.begin_stop(8, asyncio.Event()).result(PATIENCE)
        assert 3.9 < time.monotonic() - began < 7.9
        assert idle.at_end()


def test_stopping_waits_no_longer_than_it_may(path: Path | None) -> None:
    with Server(ScriptedHandler(), path) as server, MilterClient(server.address) as client:
        steps = client.script.steps(mail("never"), new_session=True)
        client.raw(b"".join(data for _, data, _ in steps))
        wait_until(lambda: server.handler.examined == 1)
        server.begin_stop(0.1).result(PATIENCE)
        assert server.handler.cancelled == 1
        assert client.at_end()


def test_ipv6() -> None:
    server = Server(ScriptedHandler())
    server.listener.close()
    server.listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    server.address = server.listener.getsockname()[:2]
    with server:
        assert serves(server)
