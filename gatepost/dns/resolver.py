"""Names looked up for mail: from the zone file, the cache, or the servers, within a message's budget."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, Self

import dns.name
import dns.rdatatype

from gatepost.dns import names
from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.budget import Budget
from gatepost.dns.cache import Cache, Key
from gatepost.dns.client import Client
from gatepost.dns.outage import Outage
from gatepost.dns.response import LONGEST_TTL, RECORD_TYPES, AliasError, extend
from gatepost.dns.servers import RESOLV_CONF, Servers, SystemServers, server
from gatepost.dns.turns import PLACES, Turn, Turns
from gatepost.dns.wire import Question
from gatepost.dns.zone import Zone
from gatepost.domains import InvalidNameError

if TYPE_CHECKING:
    from gatepost.config.sections import Dns

_TYPES = {name: dns.rdatatype.from_text(name) for name in RECORD_TYPES}


class Observer(Protocol):
    """Who counts what the resolver does."""

    def query(self, rdtype: str, outcome: Outcome, seconds: float) -> None:
        """Note a question that was asked for all who wait, how it ended, and how long that took."""

    def cache(self, hit: bool) -> None:
        """Note that the cache had an answer, or that it had to be asked for."""


class _Flight:
    """A question that is being asked, or that waits for its turn: until ``patience``, in the loop's time.

    ``wanted`` is how many wait for its answer.
    """

    __slots__ = ("patience", "task", "turn", "wanted")

    task: asyncio.Task[Answer]

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.patience = 0.0
        self.wanted = 0


class Resolver:
    """An asynchronous caching stub resolver. It belongs to one event loop.

    Record types are those of :data:`~gatepost.dns.response.RECORD_TYPES`, in
    capitals. The case of a name and its final dot do not matter; names with
    U-labels go through :func:`gatepost.domains.to_ascii` first.

    Answers are kept as long as their TTL says, up to ``max_ttl`` and
    ``max_negative_ttl``. Failures, and answers with a TTL of 0, go to those
    who wait for them and are not kept: whoever evaluates by replay (asks
    ``cached``, waits for ``lookup``, begins again) has to remember the answers
    of the message at hand itself.

    *zone* holds fixed answers. When it is given and no nameservers are
    configured, no server is asked: all other names do not exist. CNAMEs that a
    server follows by itself do not come back to the file. *clock* gives seconds
    for TTLs; waiting goes by the event loop's own clock. *complain* is told, in
    one line, when nobody answers any more, and when somebody does again.
    *places* is how many questions are under way at a time; further ones wait
    for their turn (:class:`~gatepost.dns.turns.Turns`), for ``timeout`` at most,
    and are not asked when all who wanted to know have left meanwhile. One that
    is under way goes on to its end: whoever asks again finds the answer.

    As an asynchronous context manager it is closed in the end.
    """

    def __init__(
        self,
        settings: Dns,
        *,
        clock: Callable[[], float] = time.monotonic,
        observer: Observer | None = None,
        zone: Zone | None = None,
        complain: Callable[[str], None] | None = None,
        places: int = PLACES,
    ) -> None:
        self._settings = settings
        self._observer = observer
        self._zone = zone
        self._cache = Cache(settings.cache_size, clock=clock)
        self._flights: dict[Key, _Flight] = {}
        self._turns = Turns(places)
        self._closed = False
        self._outage = Outage(complain) if complain is not None else None
        self._trouble = ""
        self._servers = self._choose(clock)
        self._client = Client(self._servers)

    def _choose(self, clock: Callable[[], float]) -> Servers:
        """Those to ask; ``_trouble`` says why, should there be none."""
        if not self._settings.nameservers and self._zone is None:
            self._trouble = f"no usable nameserver in {RESOLV_CONF}"
            return SystemServers(clock, RESOLV_CONF)
        usable = []
        for each in self._settings.nameservers:
            try:
                usable.append(server(each.host, each.port))
            except ValueError as error:
                self._trouble = f"no usable nameserver: {error}"
        return Servers(usable, clock)

    def cached(self, name: str, rdtype: str) -> Answer | None:
        """The answer, where it is at hand: None means that ``lookup`` has to be awaited."""
        # Lower case of some other letters is ASCII: U+212A is not the k of a cached name.
        if not name.isascii():
            return None
        key = (name.lower().removesuffix("."), rdtype)
        if self._zone is not None:
            fixed = self._zone.find(key)
            if isinstance(fixed, Answer):
                return fixed
        answer = self._cache.get(key)
        if answer is not None and self._observer is not None:
            self._observer.cache(True)
        return answer

    async def lookup(self, name: str, rdtype: str, budget: Budget | None = None) -> Answer:
        """The answer to one question; raises nothing but CancelledError.

        Who asks what is being asked already waits for the same answer. A name
        that the DNS cannot carry is NXDOMAIN, and costs nothing.
        """
        answer = self.cached(name, rdtype)
        if answer is not None:
            return answer
        if rdtype not in _TYPES:
            return Answer(Outcome.SERVFAIL, detail="not a record type that is looked up here")
        try:
            parsed = names.parse(name)
        except InvalidNameError as error:
            return Answer(Outcome.NXDOMAIN, detail=f"not a name in the DNS: {error}")
        if self._closed:
            return Answer(Outcome.SERVFAIL, detail="the resolver is closed")
        if self._observer is not None:
            self._observer.cache(False)
        refusal = budget.spend() if budget is not None else ""
        if refusal:
            return Answer(Outcome.TIMEOUT, detail=refusal)
        key = (name.lower().removesuffix("."), rdtype)
        party = object() if budget is None else budget.party
        loop = asyncio.get_running_loop()
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(self._turns.ask(party))
            flight.task = loop.create_task(self._fly(key, parsed, flight))
        elif not flight.turn.granted:
            # Whoever asked first may have to wait for longer than we have to.
            self._turns.join(flight.turn, party)
        flight.patience = loop.time() + self._settings.timeout
        flight.wanted += 1
        try:
            landed = await _landed(flight.task, None if budget is None else budget.seconds_left)
        finally:
            flight.wanted -= 1
        if not landed:
            return Answer(Outcome.TIMEOUT, detail="the time for the message's DNS questions is over")
        if flight.task.cancelled():
            return Answer(Outcome.SERVFAIL, detail="the resolver is closed")
        return flight.task.result()

    async def close(self) -> None:
        """Give up all questions under way; who waits for one gets SERVFAIL, and so does who asks later."""
        self._closed = True
        flights = [flight.task for flight in self._flights.values()]
        for flight in flights:
            flight.cancel()
        if flights:
            await asyncio.wait(flights)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _fly(self, key: Key, name: dns.name.Name, flight: _Flight) -> Answer:
        """Ask, for all who wait; keep the answer."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            while not flight.turn.granted and (left := flight.patience - loop.time()) > 0:
                await flight.turn.come(left)
            asked = flight.turn.granted
            if not flight.wanted:
                return Answer(Outcome.TIMEOUT, detail="nobody waits for the answer any more")
            if asked:
                answer, ttl = await self._resolve(name, key[1], loop.time() + self._settings.timeout)
            else:
                answer, ttl = Answer(Outcome.TIMEOUT, detail="too many DNS questions under way"), 0.0
        except AliasError as error:
            answer, ttl = Answer(Outcome.SERVFAIL, detail=str(error)), 0.0
        finally:
            del self._flights[key]
            self._turns.give_back(flight.turn)
        self._cache.put(key, answer, ttl)
        if self._outage is not None and asked:  # otherwise it says nothing about the servers
            self._outage.note(answer, nobody=answer.detail == self._trouble != "")
        if self._observer is not None:
            self._observer.query(key[1], answer.outcome, loop.time() - started)
        return answer

    async def _resolve(self, name: dns.name.Name, rdtype: str, deadline: float) -> tuple[Answer, float]:
        """Follow CNAMEs through zone file and servers; gives the answer and its TTL, or raises AliasError."""
        chain = [name]
        ttl = LONGEST_TTL
        authentic = True
        while True:
            if self._zone is not None:
                fixed = self._zone.find((names.text(chain[-1]).lower(), rdtype))
                if isinstance(fixed, Answer):
                    return fixed, 0.0
                if fixed is not None:
                    extend(chain, fixed)
                    authentic = False
                    continue
                if not self._settings.nameservers:
                    return Answer(Outcome.NXDOMAIN, detail="not in the zone file"), 0.0
            if not len(self._servers):
                return Answer(Outcome.SERVFAIL, detail=self._trouble), 0.0
            response = await self._client.ask(Question(chain[-1], _TYPES[rdtype]), deadline)
            ttl = min(ttl, response.ttl)
            authentic = authentic and response.authentic
            for alias in response.aliases:
                extend(chain, alias)
            if not response.open_ended:
                answer = Answer(response.outcome, response.records, authentic, response.detail)
                return answer, self._kept_for(answer, ttl)

    def _kept_for(self, answer: Answer, ttl: int) -> float:
        """Seconds that an answer with this TTL is kept."""
        if answer.temporary:
            return 0.0
        if answer.outcome is Outcome.FOUND:
            return min(ttl, self._settings.max_ttl)
        return min(ttl, self._settings.max_negative_ttl)


async def _landed(flight: asyncio.Task[Answer], seconds: float | None) -> bool:
    """Wait for *flight* for at most *seconds*; gives whether it has ended. It goes on whatever becomes of us."""
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    flight.add_done_callback(wake)
    timer = None if seconds is None else loop.call_later(seconds, wake)
    try:
        await waiter
    finally:
        flight.remove_done_callback(wake)
        if timer is not None:
            timer.cancel()
    return flight.done()
