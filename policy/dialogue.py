"""What is said on one policy connection: requests in, answers out. No I/O.

A :class:`Dialogue` is fed what was read and returns what is to be written,
the answers in the order of their requests. Where an answer has to be waited
for, ``pending`` holds the awaitable, and what arrives meanwhile is kept until
``resume`` is called. Every request is answered, whatever the service does with
it: for Postfix, silence is a reason to defer all mail.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from policy.handler import DUNNO, Request
from policy.protocol import ProtocolError, Refusal, RequestReader, write_action
from policy.terms import Terms

_NO_OPINION = write_action(DUNNO)


class Dialogue:
    """One connection's requests.

    ``pending`` is what has to be awaited before the dialogue can go on, or
    None. ``fault`` is None unless the peer speaks something else; the
    connection is then to be closed, once what was returned is written.
    ``begun`` says that something was read.
    """

    __slots__ = (
        "_clock",
        "_complained",
        "_handler",
        "_held",
        "_in_trouble",
        "_observe",
        "_queue",
        "_reader",
        "_request",
        "_started",
        "_terms",
        "begun",
        "fault",
        "pending",
    )

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._handler = terms.handler
        self._clock = terms.clock
        self._observe = None if terms.metrics is None else terms.metrics.message_seconds.observe
        self._in_trouble = write_action(terms.in_trouble)
        self._reader = RequestReader(terms.limits.request, terms.limits.attributes)
        self._queue: Sequence[Request | Refusal] = ()
        self._held = bytearray()
        self._request: Request | None = None
        self._started = 0.0
        self._complained = False
        self.begun = False
        self.fault: ProtocolError | None = None
        self.pending: Awaitable[str] | None = None

    @property
    def partial(self) -> int:
        """A number for the request of which only part has arrived, another for each; 0 where there is none."""
        return self._reader.begun if self._reader.partial else 0

    @property
    def held(self) -> int:
        """How many octets wait for the answer that is pending."""
        return len(self._held)

    def feed(self, data: bytes) -> bytes:
        """Take what was read; returns what is to be written, perhaps nothing."""
        self.begun = True
        if self.pending is not None:
            self._held += data
            return b""
        return self._run(self._reader.feed(data))

    def resume(self, action: str | None, error: BaseException | None = None) -> bytes:
        """Go on after the pending answer: *action*, or *error* that says why there is none.

        Returns what is to be written. ``pending`` may be set anew.
        """
        self.pending = None
        answers = [self._failed(error) if error is not None else self._write(action)]
        queue, self._queue = self._queue, ()
        answers.append(self._run(queue))
        if self.pending is None and self._held:
            held = bytes(self._held)
            self._held.clear()
            answers.append(self.feed(held))
        return b"".join(answers)

    def close(self) -> None:
        """The connection is gone, whatever the state of things."""
        self.pending = None
        self._queue = ()
        self._held.clear()

    def _run(self, found: Sequence[Request | Refusal]) -> bytes:
        answers: list[bytes] = []
        for position, each in enumerate(found):
            if isinstance(each, Refusal):
                answers.append(self._refused(each))
                continue
            self._request = each
            self._started = self._clock()
            try:
                decided = self._handler.decide(each)
            except Exception as error:
                answers.append(self._failed(error))
                continue
            if not isinstance(decided, str) and isinstance(decided, Awaitable):
                self.pending = decided
                self._queue = found[position + 1 :]
                break
            answers.append(self._write(decided))
        else:
            self.fault = self._reader.fault
        return answers[0] if len(answers) == 1 else b"".join(answers)

    def _write(self, action: str | None) -> bytes:
        """The answer to the request at hand."""
        if self._observe is not None:
            self._observe(self._clock() - self._started)
        try:
            return write_action(action)  # type: ignore[arg-type]  # a service may return anything
        except Exception as error:
            return self._failed(error)

    def _failed(self, error: BaseException) -> bytes:
        """The answer where the service has failed: one line, one count, and the mail goes on as configured."""
        terms, request = self._terms, self._request
        assert request is not None
        terms.log.failure(
            "internal error",
            error,
            queue_id=request.queue_id or None,
            instance=request.instance or None,
            client=request.client_address or None,
        )
        if terms.metrics is not None:
            terms.metrics.error("internal")
        return self._in_trouble

    def _refused(self, refusal: Refusal) -> bytes:
        """The answer to a request that cannot be used. The log is told once a connection."""
        terms = self._terms
        if not self._complained:
            self._complained = True
            terms.log.event("warning", "a request that cannot be used", reason=refusal.reason)
        if terms.metrics is not None:
            terms.metrics.error("protocol")
        return _NO_OPINION
