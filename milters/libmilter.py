"""The second engine: the same handlers on pymilter and libmilter.

libmilter speaks the protocol and calls back from threads of its own. Sessions
collect there; the handler's ``examine``, ``finish`` and ``cancel`` run on the
event loop, for which the callback waits. libmilter is made for one filter a
process and one run of it, so a :class:`LibmilterWorker` is started once.

How the traps of pymilter 1.0.5 are stepped around:

- Only the C module is used. What the ``Milter`` package decides on a class
  (steps, lists of macros, decoding) is said here directly, in ``_negotiate``.
- One session's callbacks come on many threads, and pymilter has one Python
  thread state for all of them, so nothing here depends on the thread.
- HELO names, header names and macros that are not UTF-8 make pymilter fail
  ahead of our callback. Such a callback is then passed over (the exception
  policy is to continue): the name or macro is missing, the mail goes on.
- libmilter writes UTF-8 only: an octet of a new header value that is not, goes
  out as U+FFFD.
- libmilter listens on a socket it has made itself; ours is put over it. On
  stopping, one that nobody can reach is, its listener is woken by a signal,
  and sessions end in peace.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from gatepost.service.instruments import EventLog, ServerMetrics
from milters.callbacks import CallbackSession
from milters.handler import Handler
from milters.negotiation import wanted_actions
from milters.server import FINISH_TIMEOUT, IDLE_GRACE, PROGRESS_INTERVAL
from milters.terms import Terms

if TYPE_CHECKING:
    from gatepost.config.sections import Limits

T = TypeVar("T")

_SAFE_PYTHON_314 = (3, 14, 2)
_END_TIMEOUT = 10.0
_WAKE = signal.SIGUSR1


def check_environment(workers: int = 1, version: Sequence[int] = sys.version_info[:3]) -> str | None:
    """Why this engine cannot be used here, in one line; None where it can.

    *workers* is how many processes are asked for, *version* that of Python.
    """
    if workers > 1:
        return f"engine libmilter runs one worker, not {workers}: use engine asyncio, or workers: 1"
    if (3, 14) <= tuple(version) < _SAFE_PYTHON_314:
        number = ".".join(map(str, version))
        return (
            f"engine libmilter can crash on Python {number} (its issue 139653): use engine asyncio, "
            "or Python 3.14.2 or later"
        )
    try:
        import milter  # noqa: F401
    except ImportError:
        return "engine libmilter needs pymilter: install gatepost[libmilter], or use engine asyncio"
    return None


class LibmilterWorker:
    """Serves one handler through libmilter, with the event loop it is started on.

    The arguments are those of :class:`milters.server.MilterWorker`. Limits on
    packets and half packets are libmilter's own (64 kB and ``idle_timeout``),
    and so is the number of connections.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        limits: Limits,
        log: EventLog,
        on_internal_error: Literal["accept", "tempfail"] = "tempfail",
        metrics: ServerMetrics | None = None,
        progress_interval: float = PROGRESS_INTERVAL,
        finish_timeout: float = FINISH_TIMEOUT,
        idle_grace: float = IDLE_GRACE,
    ) -> None:
        self.terms = Terms(handler, limits, log, on_internal_error, metrics)
        self.progress_interval = progress_interval
        self.finish_timeout = finish_timeout
        self._idle_grace = idle_grace
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ended = asyncio.Event()
        self._descriptor = -1
        self._family = socket.AF_UNIX
        self._unreachable: socket.socket | None = None
        self.sessions: set[CallbackSession] = set()

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections on the one socket in *sockets* (bound, listening) from now on.

        Raises RuntimeError, with a line for the operator, where that cannot be done.
        """
        reason = check_environment()
        if reason is None and len(sockets) != 1:
            reason = f"engine libmilter listens on one socket, not {len(sockets)}"
        if reason is not None:
            raise RuntimeError(reason)
        import milter

        self._loop = asyncio.get_running_loop()
        self._loop.add_signal_handler(_WAKE, _do_nothing)  # a signal that is ignored wakes nobody
        self._register(milter)
        sock = sockets[0]
        self._family = sock.family
        with tempfile.TemporaryDirectory(prefix="gatepost-") as place:
            self._descriptor = self._open_listener(milter, place)
        sock.setblocking(False)
        os.dup2(sock.fileno(), self._descriptor, inheritable=False)
        sock.close()
        self._thread = threading.Thread(target=self._main, args=(milter,), name="libmilter", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Accept no more: libmilter is given a socket that nobody reaches."""
        if self._unreachable is None:
            self._unreachable = self._unreachable_listener()
            os.dup2(self._unreachable.fileno(), self._descriptor, inheritable=False)
            self._wake()  # libmilter's listener sleeps at the old door for up to five seconds

    async def stop(self, grace: float, hurry: asyncio.Event | None = None) -> None:
        """Close, let messages under way end within *grace* seconds, and end libmilter.

        A session between two messages is left once it has been silent for a
        moment; with *hurry*, only from when that is set, or from half of *grace* on.
        """
        import milter

        assert self._loop is not None
        self.close()
        assert self._unreachable is not None
        now = self._loop.time()
        deadline, patience = now + grace, now + grace / 2
        moment = min(self._idle_grace, grace)
        while self._busy(moment if hurry is None or hurry.is_set() or now >= patience else grace):
            now = self._loop.time()
            left = deadline - now
            if left <= 0:
                break
            await asyncio.sleep(min(0.05, left))
        stopping = self._loop.run_in_executor(None, milter.stop)
        end = self._loop.time() + _END_TIMEOUT
        while not self._ended.is_set():
            if self._loop.time() > end:
                self.terms.log.event("warning", "libmilter does not end")
                break
            self._wake()
            try:
                async with asyncio.timeout(0.02):
                    await self._ended.wait()
            except TimeoutError:
                pass
        await stopping
        self._unreachable.close()
        for session in list(self.sessions):
            session.gone()

    def _wake(self) -> None:
        """Let libmilter's listener look up from its sleep, which it does for every signal."""
        assert self._thread is not None
        if self._thread.ident is not None and self._thread.is_alive():
            signal.pthread_kill(self._thread.ident, _WAKE)

    def _main(self, milter: Any) -> None:
        loop = self._loop
        assert loop is not None
        try:
            milter.main()
        except milter.error as error:
            loop.call_soon_threadsafe(self.terms.log.failure, "libmilter ended", error)
        finally:
            loop.call_soon_threadsafe(self._ended.set)

    def _busy(self, allowance: float) -> bool:
        """Whether a message is under way, or a session was heard of within *allowance* seconds."""
        now = self.terms.clock()
        return any(
            session.session.in_message or now - session.heard < allowance for session in list(self.sessions)
        )

    # Listening.

    def _open_listener(self, milter: Any, place: str) -> int:
        """Let libmilter make its socket, of the family of ours, in *place* if it needs one; returns its descriptor."""
        before = _listening_descriptors()
        if self._family == socket.AF_UNIX:
            milter.setconn(f"unix:{place}/libmilter")
        elif self._family == socket.AF_INET6:
            milter.setconn("inet6:0@::1")
        else:
            milter.setconn("inet:0@127.0.0.1")
        milter.opensocket(False)
        made = _listening_descriptors() - before
        if len(made) != 1:
            raise RuntimeError("libmilter's socket was not found")
        return made.pop()

    def _unreachable_listener(self) -> socket.socket:
        """A listening socket that only we know of."""
        sock = socket.socket(self._family)
        sock.setblocking(False)
        if self._family == socket.AF_UNIX:
            sock.bind("")  # Linux: an abstract name of the kernel's choice (unix(7))
        else:
            sock.bind(("::1" if self._family == socket.AF_INET6 else "127.0.0.1", 0))
        sock.listen(1)
        return sock

    # Callbacks.

    def _register(self, milter: Any) -> None:
        broken = milter.ACCEPT if self.terms.on_internal_error == "accept" else milter.TEMPFAIL

        def session(name: str) -> Callable[..., int]:
            method = getattr(CallbackSession, name)

            def callback(ctx: Any, *args: Any) -> int:
                try:
                    found = ctx.getpriv()
                    if found is None:
                        found = CallbackSession(self, milter, ctx)
                        ctx.setpriv(found)
                    return int(method(found, *args))
                except Exception as error:
                    self.terms.log.failure("internal error", error, callback=name)
                    return int(broken if name == "eom" else milter.CONTINUE)

            return callback

        milter.set_connect_callback(session("connect"))
        milter.set_helo_callback(session("helo"))
        milter.set_envfrom_callback(session("mail"))
        milter.set_envrcpt_callback(session("rcpt"))
        milter.set_header_callback(session("header"))
        milter.set_eoh_callback(session("eoh"))
        milter.set_body_callback(session("body"))
        milter.set_eom_callback(session("eom"))
        milter.set_abort_callback(session("abort"))
        milter.set_close_callback(self._close)
        milter.set_exception_policy(milter.CONTINUE)
        milter.set_flags(wanted_actions(self.terms.handler.needs))
        milter.settimeout(max(int(self.terms.limits.idle_timeout), 1))
        milter.register("gatepost", data=session("data"), unknown=None, negotiate=session("negotiate"))

    def _close(self, ctx: Any) -> int:
        session = ctx.getpriv()
        if session is not None:
            ctx.setpriv(None)
            session.gone()
        return 0

    def on_loop(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run *coroutine* on the event loop, from another thread."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def later(self, function: Callable[[], None]) -> None:
        """Run *function* on the event loop, without waiting for it."""
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:
            # The loop is closed: the process is ending, and whatever was under way has ended with it.
            pass


def _do_nothing() -> None:
    """Be there: a signal without a handler would end the process."""


def _listening_descriptors() -> set[int]:
    """The descriptors of this process that are listening sockets."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            with socket.socket(fileno=os.dup(int(entry.name))) as sock:
                if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    found.add(int(entry.name))
        except OSError:
            # No socket, or closed in the meantime.
            continue
    return found
