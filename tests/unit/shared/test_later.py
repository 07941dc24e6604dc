"""Work for later may be dropped: messages go away before their verdict is asked for."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Collection, Generator, Mapping
from typing import Any

import pytest

from gatepost.config.sections import Dns
from gatepost.dkim.verifier import Verifier
from gatepost.dkim.verify import Policy
from gatepost.dns import steps
from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.budget import Budget
from gatepost.dns.resolver import Resolver
from gatepost.dns.steps import Question
from gatepost.message import HeaderField

SIGNATURE = HeaderField(
    b"DKIM-Signature", b" v=1; a=rsa-sha256; d=example.org; s=mail; h=from; bh=Zm9v; b=YmFy"
)
QUESTION = Question("example.org", "TXT")


class Silent(Resolver):
    """Knows nothing; what it is asked it answers with nothing."""

    def __init__(self) -> None:
        super().__init__(Dns())

    def cached(self, name: str, rdtype: str) -> None:
        return None

    async def lookup(self, name: str, rdtype: str, budget: Budget | None = None) -> Answer:
        return Answer(Outcome.NXDOMAIN)


def signatures() -> Any:
    verifier = Verifier(Policy(), Silent(), lambda: Budget(Dns()))
    return verifier.check([SIGNATURE, HeaderField(b"From", b" a@example.org")], 0.0).results()


def evaluation() -> Any:
    def steps_of() -> Generator[Collection[Question], Mapping[Question, Answer], list[Answer]]:
        answers = yield [QUESTION]
        return [answers[QUESTION]]

    return steps.run(steps_of(), Silent(), lambda: Budget(Dns()))


@pytest.mark.parametrize("make", [signatures, evaluation])
def test_what_is_for_later_may_be_dropped_or_awaited(make: Any) -> None:
    async def drop() -> None:
        make()

    async def wait() -> Any:
        return await make()

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        asyncio.run(drop())
        gc.collect()
    assert [str(warning.message) for warning in said] == []
    assert len(asyncio.run(wait())) == 1
