"""Whose question is asked next: first questions before further ones, in turn, and within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.dns.turns import Turn, Turns


def granted(turns: Sequence[Turn]) -> int:
    return sum(turn.granted for turn in turns)


def asked(turns: Turns, party: str, number: int) -> list[Turn]:
    return [turns.ask(party) for _ in range(number)]


def test_a_message_has_no_more_than_its_share() -> None:
    turns = Turns(places=100, share=4)
    assert granted(asked(turns, "a", 10)) == 4
    assert granted(asked(turns, "b", 10)) == 4


def test_further_questions_leave_half_of_the_places() -> None:
    turns = Turns(places=10, share=16)
    assert granted(asked(turns, "a", 10)) == 5
    others = [turns.ask(name) for name in "bcdefg"]
    assert [turn.granted for turn in others] == [True] * 5 + [False]


def test_first_questions_go_before_further_ones() -> None:
    turns = Turns(places=2, share=16)
    first, _second, further = turns.ask("a"), turns.ask("b"), turns.ask("a")
    others = [turns.ask("c"), turns.ask("d")]
    turns.give_back(first)  # now "a" has none either, but "c" has waited for longer
    assert (granted(others), further.granted) == (1, False)
    turns.give_back(others[0])
    assert (granted(others), further.granted) == (2, False)
    turns.give_back(others[1])
    assert further.granted


def test_those_who_wait_take_turns() -> None:
    turns = Turns(places=4, share=1)
    holders = [turns.ask(name) for name in "wxyz"]
    waiting = [turns.ask(name) for name in "aabbc"]
    for holder in holders:
        turns.give_back(holder)
    assert [turn.granted for turn in waiting] == [True, False, True, False, True]


def test_a_turn_for_two_comes_with_whoever_is_first() -> None:
    turns = Turns(places=4, share=1)
    mine, wanted = asked(turns, "a", 2)
    turns.join(wanted, "b")
    assert wanted.granted
    assert turns.ask("b").granted is False
    turns.give_back(mine)
    assert turns.ask("a").granted, "it was at b's expense"


def test_a_turn_that_nobody_wants_any_more_is_passed_over() -> None:
    turns = Turns(places=1, share=1)
    holder, dropped, next_one = (turns.ask(name) for name in "abc")
    turns.give_back(dropped)
    turns.give_back(holder)
    assert (dropped.granted, next_one.granted) == (False, True)
    turns.give_back(next_one)
    assert len(turns) == 0


def test_a_question_that_was_dropped_costs_its_party_no_turn() -> None:
    turns = Turns(places=1, share=1)
    holder, dropped, mine, anothers = (turns.ask(name) for name in "abbc")
    turns.give_back(dropped)
    turns.give_back(holder)
    assert (mine.granted, anothers.granted) == (True, False)


def test_waiting_ends_with_the_turn_or_with_the_time() -> None:
    async def dialogue() -> tuple[bool, bool, bool]:
        turns = Turns(places=1)
        first, second = turns.ask("a"), turns.ask("b")
        in_vain = await second.come(0.001)
        asyncio.get_running_loop().call_soon(turns.give_back, first)
        return await first.come(0), in_vain, await second.come(60)

    assert asyncio.run(dialogue()) == (True, False, True)


STEPS = st.lists(
    st.tuples(st.sampled_from(["ask", "join", "back"]), st.integers(0, 5), st.integers(0, 30)), max_size=120
)


@given(STEPS, st.integers(1, 8), st.integers(1, 4))
def test_places_are_neither_lost_nor_made(steps: list[tuple[str, int, int]], places: int, share: int) -> None:
    turns = Turns(places, share)
    out: list[tuple[Turn, set[int]]] = []
    for step, party, which in steps:
        if step == "ask":
            out.append((turns.ask(party), {party}))
        elif out:
            turn, parties = out[which % len(out)]
            if step == "join":
                turns.join(turn, party)
                parties.add(party)
            else:
                out.remove((turn, parties))
                turns.give_back(turn)
        held = [turn.party for turn, _ in out if turn.granted]
        assert len(held) <= places
        assert all(held.count(each) <= share for each in held)
        for turn, parties in out:
            # Nobody waits for a first question while there is a place.
            assert turn.granted or len(held) == places or all(each in held for each in parties)
    for turn, _ in out:
        turns.give_back(turn)
    assert len(turns) == 0 or granted([turn for turn, _ in out]) == 0


@pytest.mark.parametrize("number", [10, 1000])
def test_all_is_forgotten_in_the_end(number: int) -> None:
    turns = Turns(places=3, share=2)
    waiting = [turns.ask(name) for name in range(number) for _ in range(3)]
    for turn in waiting:
        turns.give_back(turn)
    assert len(turns) == 0
