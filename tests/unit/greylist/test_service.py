"""The service without sockets: a request goes in, an action comes out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from gatepost.config.greylist_settings import Greylist
from gatepost.config.sections import Dns
from gatepost.config.types import SocketAddress
from gatepost.dns.answer import Answer, Outcome
from gatepost.dns.budget import Budget
from gatepost.dns.resolver import Resolver
from gatepost.metrics import Metrics
from gatepost.networks import Networks
from gatepost.spf.result import Identity, SpfResult, Verdict
from policy.greylist import AllowLists, GreylistHandler, Tools
from policy.greylisting.counts import Counts
from policy.greylisting.desk import Desk
from policy.greylisting.setup import read_lists, rules_of
from policy.greylisting.vouching import SpfVouching, is_listed, list_question
from policy.handler import Request
from tests.harness.log_file import LogFile
from tests.unit.greylist.support import NOW, sqlite_store

Result = TypeVar("Result")

USUAL = {
    "protocol_state": "RCPT",
    "client_address": "192.0.2.10",
    "client_name": "mx.example.org",
    "helo_name": "mx.example.org",
    "sender": "alice@example.org",
    "recipient": "bob@example.net",
    "instance": "1.2.3",
}


def wait(seconds: int) -> str:
    return f"DEFER_IF_PERMIT 4.2.0 Greylisted, please try again in {seconds} seconds"


class FixedResolver:
    """Answers from a mapping, after a turn of the loop."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self._answers = answers
        self.questions: list[str] = []
        self.closed = False

    def cached(self, name: str, rdtype: str) -> Answer | None:
        assert rdtype == "A"
        return None

    async def lookup(self, name: str, rdtype: str, budget: Budget | None = None) -> Answer:
        self.questions.append(name)
        await asyncio.sleep(0)
        return self._answers.get(name, Answer(Outcome.NXDOMAIN))

    async def close(self) -> None:
        self.closed = True


class Site:
    """A service, its clock, and what SPF and DNS say."""

    def __init__(self, directory: Path, log: LogFile, **options: Any) -> None:
        self.now = NOW
        self.settings = Greylist(socket=[SocketAddress("inet", "127.0.0.1", 10023)], **options)
        self.log = log
        self.resolver = FixedResolver({})
        self.spf: dict[str, SpfResult] = {}
        self.spf_asked: list[tuple[str, str, str]] = []
        self.metrics = Metrics("greylist")
        counts = Counts(self.metrics)
        self.handler = GreylistHandler(
            "greylist",
            self.settings,
            Tools(
                host="mail.example.net",
                trusted=Networks([ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8")]),
                lists=AllowLists(*read_lists(self.settings, "daemons.greylist")),
                desk=Desk(
                    sqlite_store(directory, rules_of(self.settings)),
                    timeout=5,
                    log=log.log,
                    counts=counts,
                    clock=lambda: self.now,
                ),
                resolver=cast(Resolver, self.resolver),
                new_budget=lambda: Budget(Dns()),
                log=log.log,
                counts=counts,
                spf=SpfVouching(self._check, lambda: self.now) if self.settings.spf else None,
                clock=lambda: self.now,
            ),
        )

    async def _check(self, client: str, helo: str, sender: str) -> SpfResult:
        self.spf_asked.append((client, helo, sender))
        await asyncio.sleep(0)
        domain = (sender or helo).rpartition("@")[2]
        return self.spf.get(domain, SpfResult(Verdict.NONE, Identity.MAIL_FROM, domain))

    def vouch(self, domain: str, mechanism: str = "ip4:192.0.2.0/24") -> None:
        self.spf[domain] = SpfResult(Verdict.PASS, Identity.MAIL_FROM, domain, mechanism)

    async def ask(self, **attributes: str) -> str:
        action = self.handler.decide(Request(USUAL | attributes))
        return action if isinstance(action, str) else await action

    @property
    def told(self) -> list[str]:
        """What the lines about messages say, in short."""
        return [line["greylist"] for line in self.log.lines if "greylist" in line]

    def counted(self) -> dict[str, float]:
        return {
            sample.labels["outcome"]: sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == "gatepost_greylist_requests_total"
        }


Scene = Callable[[Site], Awaitable[Result]]


def play(scene: Scene[Result], directory: Path, log: LogFile, **options: Any) -> Result:
    async def played() -> Result:
        site = Site(directory, log, **options)
        try:
            return await scene(site)
        finally:
            await site.handler.close()
            assert site.resolver.closed

    return asyncio.run(played())


def test_a_message_that_comes_again(tmp_path: Path, log: LogFile) -> None:
    async def scene(site: Site) -> None:
        assert await site.ask(instance="a") == wait(300)
        site.now += 59.5
        assert await site.ask(instance="b") == wait(241)
        site.now += 252.5
        action = await site.ask(instance="c")
        assert action.startswith("PREPEND X-Greylist: delayed 312 seconds by gatepost at mail.example.net; ")
        site.now += 1
        assert await site.ask(instance="d") == "DUNNO"
        assert site.told == ["deferred", "deferred", "delayed", "known"]
        assert site.counted() == {"deferred": 2, "delayed": 1, "known": 1}

    play(scene, tmp_path, log)
    line = next(line for line in log.lines if line["greylist"] == "delayed")
    facts = {key: line[key] for key in ("client", "sender", "recipient", "origin", "seconds")}
    assert facts == {
        "client": "192.0.2.10", "sender": "alice@example.org", "recipient": "bob@example.net",
        "origin": "192.0.2.0/24", "seconds": 312,
    }  # fmt: skip


def test_the_header_comes_once_a_message(tmp_path: Path, log: LogFile) -> None:
    async def scene(site: Site) -> list[str]:
        recipients = [f"r{n}@example.net" for n in range(3)]
        for recipient in recipients:
            await site.ask(instance="first", recipient=recipient)
        site.now += 301
        actions = [await site.ask(instance="again", recipient=recipient) for recipient in recipients]
        return [action.partition(" ")[0] for action in actions]

    assert play(scene, tmp_path, log) == ["PREPEND", "DUNNO", "DUNNO"]


def test_requests_without_an_instance(tmp_path: Path, log: LogFile) -> None:
    async def scene(site: Site) -> list[str]:
        for sender in ("a@example.org", "b@example.org"):
            await site.ask(instance="", sender=sender)
        site.now += 301
        return [
            (await site.ask(instance="", sender=sender))[:7] for sender in ("a@example.org", "b@example.org")
        ]

    assert play(scene, tmp_path, log) == ["PREPEND", "PREPEND"]


SAME = [
    ("another server of the network", {"client_address": "192.0.2.99", "client_name": "unknown"}),
    ("other case", {"sender": "Alice@EXAMPLE.org", "recipient": "BOB@example.net"}),
    ("extension", {"sender": "alice+x@example.org"}),
    ("batv", {"sender": "prvs=1234abcdef=alice@example.org"}),
    ("other helo", {"helo_name": "other"}),
    ("at DATA", {"protocol_state": "DATA"}),
]
OTHER = [
    ("another network", {"client_address": "192.0.3.10"}),
    ("another sender", {"sender": "carol@example.org"}),
    ("null sender", {"sender": ""}),
    ("another recipient", {"recipient": "carol@example.net"}),
]


@pytest.mark.parametrize("change", [each[1] for each in SAME], ids=[each[0] for each in SAME])
def test_the_same_message(tmp_path: Path, log: LogFile, change: dict[str, str]) -> None:
    async def scene(site: Site) -> str:
        await site.ask()
        site.now += 300
        return await site.ask(**change)

    assert play(scene, tmp_path, log).startswith("PREPEND")


@pytest.mark.parametrize("change", [each[1] for each in OTHER], ids=[each[0] for each in OTHER])
def test_another_message(tmp_path: Path, log: LogFile, change: dict[str, str]) -> None:
    async def scene(site: Site) -> str:
        await site.ask()
        site.now += 300
        return await site.ask(**change)

    assert play(scene, tmp_path, log) == wait(300)


SKIPPED: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    ("login", {}, {"sasl_username": "alice"}),
    ("trusted", {}, {"client_address": "10.1.2.3"}),
    ("ignored", {"ignore_hosts": [".example.org"]}, {}),
    ("allowed_client", {"allow": {"clients": ["example.org"]}}, {}),
    ("allowed_client", {"allow": {"clients": ["192.0.2"]}}, {"client_name": "unknown"}),
    ("allowed_recipient", {"allow": {"recipients": ["bob@"]}}, {}),
    ("allowed_sender", {"allow": {"senders": ["example.org"]}}, {}),
    ("allowed_sender", {"allow": {"senders": ["<>"]}}, {"sender": ""}),
    ("not_chosen", {"greylist": "opt_in", "recipient_domains": ["example.com"]}, {}),
    ("not_chosen", {"greylist": "opt_out", "recipient_domains": ["example.net"]}, {}),
    (
        "not_chosen",
        {"greylist": "opt_out", "recipient_domains": ["xn--bcher-kva.example"]},
        {"recipient": "a@Bücher.example"},
    ),
    ("no_address", {}, {"client_address": "unknown"}),
]


@pytest.mark.parametrize(("reason", "options", "attributes"), SKIPPED)
def test_who_does_not_wait(
    tmp_path: Path, log: LogFile, reason: str, options: dict[str, Any], attributes: dict[str, str]
) -> None:
    async def scene(site: Site) -> None:
        assert await site.ask(**attributes) == "DUNNO"
        assert site.told == [reason]
        assert site.counted() == {reason: 1}
        assert site.spf_asked == []

    play(scene, tmp_path, log, **options)


@pytest.mark.parametrize(
    ("options", "attributes"),
    [
        ({"greylist": "opt_in", "recipient_domains": ["example.net"]}, {}),
        ({"greylist": "opt_out", "recipient_domains": ["example.com"]}, {}),
        ({"allow": {"clients": ["/./"]}}, {"client_name": "unknown"}),
        (
            {"allow": {"clients": ["example.org"]}},
            {"client_name": "unknown", "reverse_client_name": "a.example.org"},
        ),
        ({"allow": {"senders": ["<>"], "recipients": ["abuse@"]}}, {}),
    ],
)
def test_who_waits(tmp_path: Path, log: LogFile, options: dict[str, Any], attributes: dict[str, str]) -> None:
    async def scene(site: Site) -> str:
        return await site.ask(**attributes)

    assert play(scene, tmp_path, log, **options) == wait(300)


@pytest.mark.parametrize("state", ["CONNECT", "EHLO", "MAIL", "VRFY", "ETRN", ""])
def test_other_stages_are_not_its_business(tmp_path: Path, log: LogFile, state: str) -> None:
    async def scene(site: Site) -> None:
        assert await site.ask(protocol_state=state) == "DUNNO"
        assert site.told == []

    play(scene, tmp_path, log)


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


def test_dry_run_learns_and_lets_pass(tmp_path: Path, log: LogFile) -> None:
    async def scene(site: Site) -> None:
        assert await site.ask() == "DUNNO"
        site.now += 300
        assert await site.ask() == "DUNNO"
        assert site.told == ["deferred", "delayed"]

    play(scene, tmp_path, log, dry_run=True)


def test_the_text_is_the_administrators(tmp_path: Path, log: LogFile) -> None:
    async def scene(site: Site) -> None:
        assert await site.ask(recipient="b@Example.NET") == "DEFER_IF_PERMIT 4.2.0 See example.net/help, 90 s"
        assert await site.ask(recipient="b@b\udcff") == "DEFER_IF_PERMIT 4.2.0 See b\\xff/help, 90 s"

    play(scene, tmp_path, log, text="See {domain}/help, {seconds} s", delay="90s")


def test_without_a_store_mail_passes(tmp_path: Path, log: LogFile) -> None:
    (tmp_path / "file").write_text("")

    async def scene(site: Site) -> None:
        assert await site.ask() == "DUNNO"
        assert await site.ask() == "DUNNO"
        assert site.told == ["store_error", "store_error"]

    play(scene, tmp_path / "file", log)
    assert [line["level"] for line in log.lines if "mail passes" in line.get("message", "")] == ["error"]


def test_without_delay_nothing_is_marked(tmp_path: Path, log: LogFile) -> None:
    async def scene(site: Site) -> None:
        assert await site.ask() == "DUNNO"

    play(scene, tmp_path, log, delay="0s")


@pytest.mark.parametrize(
    "attributes",
    [
        {"sender": "\udcff\x00\n@\udcfe"},
        {"recipient": "x" * 60_000},
        {"sender": "@" * 1000, "helo_name": "\r\n"},
        {"client_address": "fe80::1%eth0\n"},
        {"client_name": "a." * 30_000},
        {"instance": "\0" * 1000},
    ],
)
def test_strange_requests(tmp_path: Path, log: LogFile, attributes: dict[str, str]) -> None:
    async def scene(site: Site) -> None:
        action = await site.ask(**attributes)
        assert action == "DUNNO" or action.startswith("DEFER_IF_PERMIT 4.2.0 ")
        assert action.isprintable()

    play(scene, tmp_path, log, allow={"clients": ["/x$/"], "senders": ["/y/"]})
