"""What both stores promise."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policy.greylisting.decision import Decision, OriginRecord, Outcome, Rules, TripletRecord, judge
from policy.greylisting.key import Triplet
from policy.greylisting.store import Entry, Origin, Question, Search, Store, StoreError
from tests.unit.greylist.conftest import MakeStore
from tests.unit.greylist.support import DAY, NETWORK, NOW, RULES, run, triplet

DEFERRED = Decision(Outcome.DEFERRED, 300)
KNOWN = Decision(Outcome.KNOWN)
AUTO = Decision(Outcome.AUTO)
PINNED = Decision(Outcome.PINNED)


def test_a_message_on_its_way(make_store: MakeStore) -> None:
    async def use(store: Store) -> None:
        question = Question(triplet())
        assert await store.judge([question], NOW) == [DEFERRED]
        assert await store.judge([question], NOW + 100.25) == [Decision(Outcome.DEFERRED, 199.75)]
        assert await store.judge([question], NOW + 312) == [Decision(Outcome.DELAYED, 312)]
        assert await store.judge([question], NOW + 313) == [KNOWN]
        assert await store.judge([question], NOW + 34 * DAY) == [KNOWN]
        assert await store.judge([question], NOW + 70 * DAY) == [DEFERRED]

    run(use, make_store())


def test_many_at_once_are_answered_in_order(make_store: MakeStore) -> None:
    async def use(store: Store) -> None:
        questions = [Question(triplet(f"s{n}@example.org")) for n in range(200)]
        assert await store.judge(questions, NOW) == [DEFERRED] * 200
        again = await store.judge(
            [questions[0], Question(triplet("new@example.org")), questions[1]], NOW + 300
        )
        assert [decision.outcome for decision in again] == [
            Outcome.DELAYED,
            Outcome.DEFERRED,
            Outcome.DELAYED,
        ]
        assert await store.judge([], NOW) == []

    run(use, make_store())


def test_the_same_twice_in_one_turn(make_store: MakeStore) -> None:
    async def use(store: Store) -> None:
        question = Question(triplet())
        assert await store.judge([question, question], NOW) == [DEFERRED, DEFERRED]
        assert await store.judge([question, question], NOW + 300) == [Decision(Outcome.DELAYED, 300), KNOWN]

    run(use, make_store())


def test_origins_are_allowed_after_five_deliveries(make_store: MakeStore) -> None:
    async def use(store: Store) -> None:
        question = Question(triplet())
        await store.judge([question], NOW)
        for hour in range(1, 6):
            assert (await store.judge([question], NOW + hour * 3600))[0].outcome is not Outcome.AUTO
        stranger = Question(triplet("stranger@example.com"))
        assert await store.judge([stranger], NOW + 6 * 3600) == [AUTO]
        other = Question(triplet(origin="198.51.100.0/24"))
        assert await store.judge([other], NOW + 6 * 3600) == [DEFERRED]

    run(use, make_store())


def test_recipients_of_one_message_count_as_one(make_store: MakeStore) -> None:
    rules = Rules(0, 2 * DAY, 35 * DAY, 5, 0)

    async def use(store: Store) -> None:
        for n in range(20):
            await store.judge([Question(triplet(recipient=f"r{n}@example.net"), counts=n < 4)], NOW)
        assert await store.judge([Question(triplet("new@example.org"))], NOW) == [
            Decision(Outcome.DELAYED, 0)
        ]
        assert await store.judge([Question(triplet("newer@example.org"))], NOW) == [AUTO]

    run(use, make_store(rules))


def test_what_one_has_answered_another_knows(make_store: MakeStore) -> None:
    async def use(store: Store) -> None:
        other = make_store()
        try:
            await store.judge([Question(triplet())], NOW)
            assert await other.judge([Question(triplet())], NOW + 300) == [Decision(Outcome.DELAYED, 300)]
            assert await store.judge([Question(triplet())], NOW + 301) == [KNOWN]
        finally:
            await other.close()

    run(use, make_store())


def test_two_stores_at_once_lose_nothing(make_store: MakeStore) -> None:
    """Counting needs reading and writing in one: between two workers no delivery may get lost."""
    rules = Rules(0, 2 * DAY, 35 * DAY, 1_000_000, 0)

    async def deliver(store: Store, name: str) -> None:
        for n in range(40):
            questions = [Question(triplet(f"{name}{n}.{m}@example.org")) for m in range(5)]
            decisions = await store.judge(questions, NOW)
            assert {decision.outcome for decision in decisions} == {Outcome.DELAYED}
            await asyncio.sleep(0)

    async def use(store: Store) -> None:
        other = make_store(rules)
        try:
            await asyncio.gather(deliver(store, "a"), deliver(other, "b"))
            (origin,) = (await store.origins(Search(), 10)).origins
            assert origin.record.deliveries == 400
        finally:
            await other.close()

    run(use, make_store(rules))


def test_show(make_store: MakeStore) -> None:
    async def use(store: Store) -> None:
        odd = Triplet("spf:example.org", 'a*b?[c]\\d%_"@example.org', "bob@[192.0.2.1]}")
        await store.judge([Question(triplet()), Question(odd)], NOW)
        await store.judge([Question(triplet())], NOW + 300)
        known = Entry(triplet(), TripletRecord(NOW, NOW + 300, True))
        waiting = Entry(odd, TripletRecord(NOW, NOW, False))

        async def shown(*origins: str, sender: str = "*", recipient: str = "*") -> list[Entry]:
            page = await store.entries(Search(origins, sender, recipient), 10)
            assert page.next == ""
            return sorted(page.entries)

        assert await shown() == [known, waiting]
        assert await shown(NETWORK) == [known]
        assert await shown("spf:example.org", NETWORK) == [known, waiting]
        assert await shown("198.51.100.0/24") == []
        assert await shown(sender="alice@*") == [known]
        assert await shown(sender="*@example.org", recipient="*net") == [known]
        assert await shown(sender="alice") == []
        assert await shown(sender=odd.sender) == [waiting]
        assert await shown(recipient="*}") == [waiting]
        assert await shown(sender="_lice@example.org") == []
        assert await shown(sender="?lice@example.org") == []
        origins = await store.origins(Search(), 10)
        assert origins == ([Origin(NETWORK, OriginRecord(1, NOW + 300, NOW + 300))], "")
        assert (await store.origins(Search(("spf:example.org",)), 10)).origins == []

    run(use, make_store())


def test_pages_show_everything_once(make_store: MakeStore) -> None:
    async def use(store: Store) -> None:
        triplets = [triplet(f"s{n}@example.org", origin=f"10.0.{n}.0/24") for n in range(1500)]
        for start in range(0, 1500, 100):
            await store.judge([Question(each) for each in triplets[start : start + 100]], NOW)
        for each in triplets[:700]:
            await store.pin(each.origin, NOW) if int(each.origin.split(".")[2]) < 30 else None
        seen, after, pages = set[Triplet](), "", 0
        while True:
            page = await store.entries(Search(), 400, after)
            seen |= {entry.triplet for entry in page.entries}
            pages += 1
            after = page.next
            if not after:
                break
        assert seen == set(triplets)
        assert pages > 1
        origins = await store.origins(Search(), 400)
        assert len(origins.origins) == 30

    run(use, make_store())


@pytest.mark.parametrize("after", ["x", "{}", "[1]", "'; DROP TABLE triplet"])
def test_no_page_begins_there(make_store: MakeStore, after: str) -> None:
    async def use(store: Store) -> None:
        await store.judge([Question(triplet())], NOW)
        with pytest.raises(StoreError, match="no page"):
            await store.entries(Search(), 10, after)

    run(use, make_store())


def test_allow_by_hand(make_store: MakeStore) -> None:
    async def use(store: Store) -> None:
        await store.judge([Question(triplet())], NOW)
        await store.judge([Question(triplet())], NOW + 300)
        await store.pin(NETWORK, NOW)
        await store.pin("spf:example.org", NOW)
        for later in (0, 400 * DAY):
            assert await store.judge([Question(triplet("x@example.com"))], NOW + later) == [PINNED]
            vouched = Question(triplet("x@example.org", origin="spf:example.org"))
            assert await store.judge([vouched], NOW + later) == [PINNED]
        assert await store.forget(Search((NETWORK,))) == (1, 1)
        assert await store.judge([Question(triplet())], NOW) == [DEFERRED]

    run(use, make_store())


def test_forget(make_store: MakeStore) -> None:
    async def use(store: Store) -> None:
        await store.judge([], NOW)
        await store.pin(NETWORK, NOW)
        other = "198.51.100.0/24"
        questions = [Question(triplet(f"s{n}@d{n % 2}.example", origin=other)) for n in range(1200)]
        await store.judge(questions, NOW)
        await store.judge([Question(triplet(recipient="odd}"))], NOW)
        assert await store.forget(Search(sender="*@d0.example")) == (600, 0)
        assert await store.forget(Search(sender="*@d0.example")) == (0, 0)
        assert await store.forget(Search((other,), recipient="bob@*")) == (600, 0)
        await store.judge(questions[:3], NOW)
        assert await store.forget(Search()) == (3, 1)
        assert (await store.stats()).origins == 0

    run(use, make_store())


def test_stats(make_store: MakeStore) -> None:
    async def use(store: Store) -> None:
        questions = [Question(triplet(f"s{n}@example.org", origin=f"10.0.{n}.0/24")) for n in range(7)]
        await store.judge(questions, NOW)
        await store.judge(questions[:3], NOW + 300)
        await store.pin("spf:example.org", NOW)
        stats = await store.stats()
        assert (stats.waiting, stats.passed, stats.origins, stats.allowed) == (4, 3, 4, 1)
        assert await store.size() == 11

    run(use, make_store())


KEYS = [triplet(sender, origin=origin) for origin in ("10.0.0.0/24", "spf:d.example") for sender in "ab"]
STEPS = st.sampled_from([0.0, 0.001, 1.0, 29.999, 30.0, 60.0, 599.0, 600.0, 1000.0, -1.0, -500.0, -90000.0])
ATTEMPTS = st.lists(st.tuples(STEPS, st.sampled_from(KEYS), st.booleans()), min_size=1, max_size=25)
RULE_SETS = st.sampled_from(
    [
        Rules(30, 600, 1000, 2, 60),
        Rules(0, 600, 1000, 3, 0),
        Rules(30, 600, 5000, 0, 60),
        Rules(29.5, 600, 1000, 1, 0),
    ]
)


class Model:
    """The rules and two dictionaries: what every store has to be equal to."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.triplets: dict[Triplet, TripletRecord] = {}
        self.origins: dict[str, OriginRecord] = {}

    def judge(self, key: Triplet, now: float, counts: bool) -> Decision:
        decision, new_triplet, new_origin = judge(
            self.triplets.get(key), self.origins.get(key.origin), now, self.rules, counts
        )
        if new_triplet:
            self.triplets[key] = new_triplet
        if new_origin:
            self.origins[key.origin] = new_origin
        return decision


@given(rules=RULE_SETS, attempts=ATTEMPTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_store_decides_as_the_rules_do(
    make_store: MakeStore, rules: Rules, attempts: list[tuple[float, Triplet, bool]]
) -> None:
    async def use(store: Store) -> None:
        await store.forget(Search())
        model, now = Model(rules), NOW
        for step, key, counts in attempts:
            now = round(now + step, 3)
            (decision,) = await store.judge([Question(key, counts)], now)
            expected = model.judge(key, now, counts)
            assert decision.outcome is expected.outcome
            assert decision.seconds == pytest.approx(expected.seconds, abs=0.001)
        stored = {entry.triplet: entry.record for entry in (await store.entries(Search(), 100)).entries}
        assert stored == {key: pytest.approx(record) for key, record in model.triplets.items()}
        origins = {origin.name: origin.record for origin in (await store.origins(Search(), 100)).origins}
        assert origins == {name: pytest.approx(record) for name, record in model.origins.items()}

    store = make_store(rules)

    async def prepared() -> None:
        # A file that nobody has asked yet is not there: forgetting would complain.
        await store.judge([], NOW)
        await use(store)

    async def whole() -> None:
        try:
            await prepared()
        finally:
            await store.close()

    asyncio.run(whole())


def test_rules_of_the_tests_are_those_of_the_product() -> None:
    from gatepost.config.greylist_settings import Greylist
    from gatepost.config.types import SocketAddress
    from policy.greylisting.setup import rules_of

    assert rules_of(Greylist(socket=[SocketAddress("inet", "127.0.0.1", 10023)])) == RULES
