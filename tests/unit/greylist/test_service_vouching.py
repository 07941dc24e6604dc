"""Who vouches for a client: SPF domains, and lists of mail servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatepost.dns.answer import Answer, Outcome
from gatepost.spf.result import Identity, SpfResult, Verdict
from policy.greylisting.vouching import is_listed, list_question
from tests.harness.log_file import LogFile
from tests.unit.greylist.service import Site, play, wait


def test_pools_pass_by_the_domain_that_vouches_for_them(tmp_path: Path, log: LogFile) -> None:
    """A large sender comes again from another network each time, and is known all the same."""

    async def scene(site: Site) -> None:
        site.vouch("example.org")
        assert await site.ask(client_address="192.0.2.10") == wait(300)
        site.now += 300
        assert (await site.ask(client_address="198.51.100.20")).startswith("PREPEND")
        for attempt in range(4):
            site.now += 3600
            assert await site.ask(client_address=f"203.0.113.{attempt}", instance=str(attempt)) == "DUNNO"
        assert (
            await site.ask(client_address="2001:db8::1", sender="new@example.org", instance="new") == "DUNNO"
        )
        assert site.told[-1] == "auto"
        # Nobody vouches for this client, whatever it says.
        site.spf.clear()
        assert await site.ask(client_address="203.0.113.77", sender="other@example.org") == wait(300)

    play(scene, tmp_path, log)


def test_a_domain_that_vouches_for_everybody_vouches_for_nobody(tmp_path: Path, log: LogFile) -> None:
    async def scene(site: Site) -> str:
        site.vouch("example.org", "+ALL")
        await site.ask(client_address="192.0.2.10")
        site.now += 300
        return await site.ask(client_address="198.51.100.20")

    assert play(scene, tmp_path, log) == wait(300)


def test_spf_is_asked_once_a_message(tmp_path: Path, log: LogFile) -> None:
    async def scene(site: Site) -> None:
        site.vouch("example.org")
        for n in range(5):
            await site.ask(recipient=f"r{n}@example.net", helo_name=f"h{n}")
        assert len(site.spf_asked) == 1
        await site.ask(sender="", helo_name="one")
        await site.ask(sender="", helo_name="other")
        assert site.spf_asked[1:] == [("192.0.2.10", "one", ""), ("192.0.2.10", "other", "")]
        site.now += 61
        await site.ask()
        site.now -= 1000
        await site.ask()
        assert len(site.spf_asked) == 5

    play(scene, tmp_path, log)


def test_a_temporary_error_of_spf_is_asked_again(tmp_path: Path, log: LogFile) -> None:
    async def scene(site: Site) -> None:
        site.spf["example.org"] = SpfResult(Verdict.TEMPERROR, Identity.MAIL_FROM, "example.org")
        await site.ask()
        await site.ask()
        assert len(site.spf_asked) == 2

    play(scene, tmp_path, log)


def test_spf_of_a_sender_that_no_message_has_is_not_remembered(tmp_path: Path, log: LogFile) -> None:
    async def scene(site: Site) -> None:
        for _ in range(2):
            await site.ask(sender="x" * 5000 + "@example.org")
        assert len(site.spf_asked) == 2

    play(scene, tmp_path, log)


def test_without_spf(tmp_path: Path, log: LogFile) -> None:
    async def scene(site: Site) -> None:
        await site.ask()
        assert site.spf_asked == []

    play(scene, tmp_path, log, spf=False)


def test_a_list_of_mail_servers(tmp_path: Path, log: LogFile) -> None:
    async def scene(site: Site) -> None:
        site.resolver._answers["10.2.0.192.list.dnswl.org"] = Answer(Outcome.FOUND, ("127.0.5.1",))
        assert await site.ask() == "DUNNO"
        assert site.told == ["dnswl"]
        assert await site.ask(client_address="198.51.100.1") == wait(300)

    play(scene, tmp_path, log, dnswl="list.dnswl.org")


@pytest.mark.parametrize(
    ("answer", "listed"),
    [
        (Answer(Outcome.FOUND, ("127.0.10.3",)), True),
        (Answer(Outcome.FOUND, ("127.0.0.2", "192.0.2.1")), True),
        (Answer(Outcome.FOUND, ("127.0.0.255",)), False),
        (Answer(Outcome.FOUND, ("192.0.2.1",)), False),
        (Answer(Outcome.NXDOMAIN), False),
        (Answer(Outcome.TIMEOUT), False),
    ],
)
def test_answers_of_a_list(answer: Answer, listed: bool) -> None:
    assert is_listed(answer) == listed


@pytest.mark.parametrize(
    ("address", "question"),
    [
        ("192.0.2.10", "10.2.0.192.l.example"),
        ("2001:db8::1", f"1.{'0.' * 23}8.b.d.0.1.0.0.2.l.example"),
        ("::ffff:192.0.2.10", "10.2.0.192.l.example"),
        ("unknown", ""),
    ],
)
def test_questions_to_a_list(address: str, question: str) -> None:
    assert list_question(address, "l.example") == question
