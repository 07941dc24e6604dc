"""What a supervisor holds open: its selector and signals, the sockets, and the way to systemd."""

from __future__ import annotations

import contextlib
import selectors
import time
from collections.abc import Callable

from gatepost.service.child import HANDLED
from gatepost.service.http import Answer, Responder
from gatepost.service.listeners import Listeners
from gatepost.service.notify import Notifier
from gatepost.service.page import Page
from gatepost.service.wakeup import Wakeup
from gatepost.service.workers import Closable, Generation


class Holdings:
    """All of it, until *stack* is closed. *answer* responds on the metrics address, *signalled* to signals.

    ``listeners`` is empty at first; who fills it closes it.
    """

    def __init__(
        self,
        notifier: Notifier,
        answer: Answer,
        signalled: Callable[[int], None],
        stack: contextlib.ExitStack,
    ) -> None:
        self._notifier = notifier
        self.selector = selectors.DefaultSelector()
        stack.callback(self.selector.close)
        self.page = Page(Responder(self.selector, answer, time.monotonic))
        stack.callback(self.page.close)
        self.listeners = Listeners()
        self.wakeup = Wakeup(HANDLED)
        stack.callback(self.wakeup.close)
        self.selector.register(self.wakeup.reader, selectors.EVENT_READ, signalled)

    def not_for(self, generation: Generation) -> list[Closable]:
        """What of it is no business of *generation*'s workers."""
        kept = {id(listener) for listener in generation.listeners}
        return [
            self.selector,
            self._notifier,
            *self.wakeup.ends,
            *self.page.sockets,
            *(listener.socket for listener in self.listeners.all if id(listener) not in kept),
        ]
