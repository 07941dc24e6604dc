"""The content filter of the test bench: what comes in goes out, octets and refusals alike."""

from __future__ import annotations

import pytest

from tests.harness.delivery import compose
from tests.harness.passthrough import PassThrough
from tests.harness.ports import free_port, listening
from tests.harness.sink import SmtpSink
from tests.harness.smtp import RefusedError, Session, deliver
from tests.harness.waiting import wait_for

MESSAGE = compose([("From", "a@example.org"), ("Subject", "x")], "one\n.\n..two\n\n \t\n")


def test_octets_stay_as_they_are() -> None:
    with SmtpSink() as sink, PassThrough(sink.port) as filtering:
        deliver(filtering.port, MESSAGE, "a@example.org", ["b@example.nl", "c@example.nl"])
        assert filtering.messages == 1
    assert [each.octets for each in sink.deliveries()] == [MESSAGE, MESSAGE]
    assert [each.recipient for each in sink.deliveries()] == ["b@example.nl", "c@example.nl"]


def test_a_filter_may_change_the_message() -> None:
    def marked(octets: bytes) -> bytes:
        return b"Received: by filter\r\n" + octets

    with SmtpSink() as sink, PassThrough(sink.port, change=marked) as filtering:
        deliver(filtering.port, MESSAGE, "a@example.org", ["b@example.nl"])
    [arrived] = sink.deliveries("b@example.nl")
    assert arrived.octets == b"Received: by filter\r\n" + MESSAGE


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "END"])
def test_refusals_travel_back(stage: str) -> None:
    with SmtpSink() as sink, PassThrough(sink.port) as filtering:
        sink.answers[stage] = "550 5.7.1 No"
        with pytest.raises(RefusedError) as refused:
            deliver(filtering.port, MESSAGE, "a@example.org", ["b@example.nl"])
    assert (refused.value.stage, refused.value.reply.code) == (stage, 550)
    assert sink.deliveries() == []


def test_several_messages_on_one_connection() -> None:
    with SmtpSink() as sink, PassThrough(sink.port) as filtering, Session(filtering.port) as session:
        extensions = session.ehlo().lines
        assert "8BITMIME" in extensions
        assert "PIPELINING" not in extensions
        for _ in range(3):
            session.send(MESSAGE, "a@example.org", ["b@example.nl"])
        session.quit()
    assert len(sink.deliveries("b@example.nl")) == 3


def test_the_next_server_is_down() -> None:
    with PassThrough(free_port()) as filtering, Session(filtering.port) as session:
        assert session.banner.code == 421


def test_stopping_frees_the_port() -> None:
    with SmtpSink() as sink, Session(sink.port):
        assert listening(sink.port)
    wait_for(lambda: not listening(sink.port), "a free port")
