"""The greylist in Redis or Valkey, which several hosts share.

An origin and a triplet are a hash each; what expires, the server removes. The
keys of one origin have its name between braces, so that a cluster keeps them
together. How much survives a crash of the server is the server's to say
(``appendonly yes``).
"""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import sha1
from importlib import resources
from typing import Any, Final

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from policy.greylisting.decision import Decision, OriginRecord, Outcome, Rules, TripletRecord
from policy.greylisting.key import Triplet
from policy.greylisting.store import (
    Entry,
    EntryPage,
    Origin,
    OriginPage,
    Question,
    Search,
    Stats,
    StoreError,
)

PREFIX: Final = "gatepost:greylist:"
_SEPARATOR: Final = "\x1f"
"""Stands between the parts of a key, none of which can hold it."""

_SCRIPT: Final = resources.files(__package__).joinpath("judge.lua").read_text("utf-8")
_DIGEST: Final = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()
"""The name that the server gives the script (EVALSHA)."""

_OUTCOMES: Final = {outcome.value.encode(): outcome for outcome in Outcome}
_AT_ONCE: Final = 500
_FIRST: Final = "0"
_WRONG_KIND: Final = "WRONGTYPE"


class RedisStore:
    """A store on the server at *url*; *timeout* seconds for each call to it."""

    def __init__(self, url: str, rules: Rules, timeout: float) -> None:
        self.rules = rules
        # One more try, at once: a connection that the server closed meanwhile is no failure.
        # Older clients do not compare the server's name with its certificate by themselves.
        tls = {"ssl_check_hostname": True} if url.startswith("rediss:") else {}
        self._client: redis.asyncio.Redis = redis.asyncio.Redis.from_url(
            url,
            **tls,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.exceptions.ConnectionError,)),
        )
        self._rules = (
            rules.delay,
            rules.retry_window,
            rules.max_age,
            rules.auto_allow,
            rules.auto_allow_interval,
            rules.touch,
        )

    async def judge(self, questions: Sequence[Question], now: float) -> list[Decision]:
        """Decide all in one round trip, each in one step of the server's."""
        async with _speaking():
            answers = await self._run(questions, now)
            if any(isinstance(answer, NoScriptError) for answer in answers):
                await self._client.script_load(_SCRIPT)
                missing = [n for n, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
                again = await self._run([questions[n] for n in missing], now)
                for n, answer in zip(missing, again, strict=True):
                    answers[n] = answer
        return [_decision(answer) for answer in answers]

    async def _run(self, questions: Sequence[Question], now: float) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for triplet, counts in questions:
            pipeline.execute_command(
                "EVALSHA",
                _DIGEST,
                2,
                _origin_key(triplet.origin),
                _triplet_key(triplet),
                f"{now:.3f}",
                *self._rules,
                "1" if counts else "0",
            )
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers

    async def tend(self, now: float) -> float:
        """Nothing: the server removes what has expired."""
        return 3600.0

    async def size(self) -> int:
        """The keys of the database, whoever put them there."""
        async with _speaking():
            return int(await self._client.dbsize())

    async def entries(self, search: Search, limit: int, after: str = "") -> EntryPage:
        """A page of entries, in no order; it may have some more than *limit*."""
        found: list[Entry] = []
        async with _speaking():
            cursor, keys = await self._scan(_triplet_pattern(search), limit, after)
            keys = [key for key in keys if key.count(_SEPARATOR) == 2]
            for key, values in await self._read(keys, ("first", "last", "passed")):
                braced, sender, recipient = key.split(_SEPARATOR)
                origin, record = braced[1:-1], _triplet_record(values)
                if record is not None and (not search.origins or origin in search.origins):
                    found.append(Entry(Triplet(origin, sender, recipient), record))
        return EntryPage(found, cursor)

    async def origins(self, search: Search, limit: int, after: str = "") -> OriginPage:
        """A page of origins, in no order; it may have some more than *limit*."""
        found: list[Origin] = []
        async with _speaking():
            cursor, keys = await self._scan(_origin_pattern(search), limit, after)
            keys = [key for key in keys if _SEPARATOR not in key]
            for key, values in await self._read(keys, ("deliveries", "counted", "last", "pinned")):
                name, record = key[1:-1], _origin_record(values)
                if record is not None and (not search.origins or name in search.origins):
                    found.append(Origin(name, record))
        return OriginPage(found, cursor)

    async def pin(self, origin: str, now: float) -> None:
        """Allow *origin* from now on."""
        key = _origin_key(origin)
        async with _speaking():
            pipeline = self._client.pipeline(transaction=True)
            for field, value in (("deliveries", "0"), ("counted", f"{now:.3f}"), ("last", f"{now:.3f}")):
                pipeline.hsetnx(key, field, value)
            pipeline.hset(key, "pinned", "1")
            pipeline.persist(key)
            await pipeline.execute()

    async def forget(self, search: Search) -> tuple[int, int]:
        """Forget entries and origins, some at a time."""
        triplets = await self._remove(_triplet_pattern(search), search, separators=2)
        if not search.all_addresses:
            return triplets, 0
        return triplets, await self._remove(_origin_pattern(search), search, separators=0)

    async def _remove(self, pattern: str, search: Search, separators: int) -> int:
        removed = 0
        cursor = _FIRST
        async with _speaking():
            while cursor:
                cursor, keys = await self._scan(pattern, _AT_ONCE, "" if cursor == _FIRST else cursor)
                meant = [
                    PREFIX + key
                    for key in keys
                    if key.count(_SEPARATOR) == separators
                    and (not search.origins or key.partition(_SEPARATOR)[0][1:-1] in search.origins)
                ]
                if meant:
                    removed += int(await self._client.unlink(*meant))
        return removed

    async def stats(self) -> Stats:
        """Count everything, page by page."""
        stats = Stats()
        least = self.rules.auto_allow or float("inf")
        after, more = "", True
        while more:
            page = await self.entries(Search(), _AT_ONCE, after)
            after, more = page.next, bool(page.next)
            passed = sum(entry.record.passed for entry in page.entries)
            stats.passed += passed
            stats.waiting += len(page.entries) - passed
        more = True
        while more:
            origins = await self.origins(Search(), _AT_ONCE, after)
            after, more = origins.next, bool(origins.next)
            stats.origins += len(origins.origins)
            stats.allowed += sum(
                origin.record.pinned or origin.record.deliveries >= least for origin in origins.origins
            )
        return stats

    async def _scan(self, pattern: str, limit: int, after: str) -> tuple[str, list[str]]:
        """Keys without the prefix, about *limit* of them, and the cursor of the next page."""
        if after and not after.isdigit():
            raise StoreError("there is no page that begins there")
        cursor, keys = int(after or _FIRST), dict[str, None]()
        while True:
            cursor, some = await self._client.scan(cursor, match=pattern, count=max(100, limit))
            keys.update((_text(key).removeprefix(PREFIX), None) for key in some)
            if cursor == 0 or len(keys) >= limit:
                return (str(cursor) if cursor else ""), list(keys)

    async def _read(self, keys: Sequence[str], fields: Sequence[str]) -> list[tuple[str, list[Any]]]:
        """The fields of those keys that are still there, and are of a kind that we could have made."""
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            pipeline.hmget(PREFIX + key, list(fields))
        found = []
        for key, values in zip(keys, await pipeline.execute(raise_on_error=False), strict=True):
            if isinstance(values, Exception):
                if not str(values).startswith(_WRONG_KIND):
                    raise values
            elif values[0] is not None:
                found.append((key, values))
        return found

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _text(key: str | bytes) -> str:
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else key


def _origin_key(origin: str) -> str:
    return f"{PREFIX}{{{origin}}}"


def _triplet_key(triplet: Triplet) -> str:
    origin, sender, recipient = triplet
    return f"{PREFIX}{{{origin}}}{_SEPARATOR}{sender}{_SEPARATOR}{recipient}"


def _triplet_pattern(search: Search) -> str:
    parts = (_origin_glob(search), _glob(search.sender), _glob(search.recipient))
    return _glob(PREFIX) + _SEPARATOR.join(parts)


def _origin_pattern(search: Search) -> str:
    # The key of a triplet may end with the brace too: the separator tells them apart.
    return _glob(PREFIX) + _origin_glob(search)


def _origin_glob(search: Search) -> str:
    return f"{{{_glob(search.origins[0])}}}" if len(search.origins) == 1 else "{*}"


def _glob(text: str) -> str:
    r"""*text*, in which ``*`` stays what it is, as a pattern of the server's."""
    return re.sub(r"[?\[\]\\]", r"\\\g<0>", text)


def _triplet_record(values: Sequence[bytes | None]) -> TripletRecord | None:
    """A triplet from its fields; None where somebody else has written them."""
    first, last, passed = values
    try:
        return TripletRecord(_number(first), _number(last), passed == b"1")
    except ValueError:
        return None


def _origin_record(values: Sequence[bytes | None]) -> OriginRecord | None:
    """An origin from its fields; None where somebody else has written them."""
    deliveries, counted, last, pinned = values
    try:
        return OriginRecord(int(deliveries or 0), _number(counted), _number(last), pinned=pinned == b"1")
    except ValueError:
        return None


def _number(value: bytes | None) -> float:
    """A number of seconds; 0 for none. Raises ValueError."""
    number = float(value or 0)
    if not math.isfinite(number):
        raise ValueError("no number of seconds")
    return number


def _decision(answer: object) -> Decision:
    if isinstance(answer, list) and len(answer) == 2 and answer[0] in _OUTCOMES:
        with suppress(ValueError):  # of numbers that are none, which others may have put there
            return Decision(_OUTCOMES[answer[0]], _number(answer[1]))
    if isinstance(answer, Exception):
        raise StoreError(_told(answer))
    raise StoreError("the server gave an answer that is none")


@asynccontextmanager
async def _speaking() -> AsyncIterator[None]:
    """Make StoreError of what can go wrong with a server."""
    try:
        yield
    except (RedisError, OSError, TimeoutError, EOFError) as error:
        raise StoreError(_told(error)) from None


def _told(error: BaseException) -> str:
    text = str(error).partition("\n")[0][:200] or type(error).__name__
    # Of connecting, not of a broken connection or a refused password.
    return f"{text.rstrip('.')}: is Redis running there?" if "connecting to" in text else text
