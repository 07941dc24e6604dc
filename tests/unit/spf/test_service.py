"""What the SPF service does: its options one by one, its memory, its log."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

import pytest

from gatepost.authres.spf_field import stated
from gatepost.spf import replay
from gatepost.spf.query import Query
from policy.protocol import write_action
from tests.harness.log_file import LogFile
from tests.unit.daemons.support import networks
from tests.unit.spf.suite import Zone
from tests.unit.spf.support import NOW, SEALER, Service, helo, sender

FAIL = {"sender": "bob@fail.example"}
HELO_FAIL = {"helo_name": "fail.example"}
NULL_FAIL = {"helo_name": "fail.example", "sender": ""}


def code(action: str) -> str:
    """The codes of a refusal, or the first word of any other action."""
    found = re.match(r"(\d{3} \d\.\d\.\d+) ", action)
    return found[1] if found else action.partition(" ")[0]


REFUSED, ERROR, DEFERRED, WRITES = "550 5.7.23", "550 5.7.24", "451 4.7.24", "PREPEND"


@pytest.mark.parametrize(
    ("options", "attributes", "expected"),
    [
        ({}, sender("pass"), WRITES),
        ({}, sender("fail"), REFUSED),
        ({}, sender("softfail"), WRITES),
        ({}, sender("neutral"), WRITES),
        ({}, sender("none"), WRITES),
        ({}, sender("permerror"), WRITES),
        ({}, sender("temperror"), WRITES),
        ({}, helo("fail"), REFUSED),
        ({}, helo("softfail"), WRITES),
        ({}, NULL_FAIL, REFUSED),
        ({"dmarc_enforces": True}, sender("fail"), WRITES),
        ({"dmarc_enforces": True}, helo("fail"), WRITES),
        ({"dmarc_enforces": True, "mail_from_reject": "fail"}, sender("fail"), REFUSED),
        ({"mail_from_reject": "softfail"}, sender("fail"), REFUSED),
        ({"mail_from_reject": "softfail"}, sender("softfail"), REFUSED),
        ({"mail_from_reject": "softfail"}, sender("neutral"), WRITES),
        ({"mail_from_reject": "not_pass"}, sender("neutral"), REFUSED),
        ({"mail_from_reject": "not_pass"}, sender("softfail"), REFUSED),
        ({"mail_from_reject": "not_pass"}, sender("permerror"), ERROR),
        ({"mail_from_reject": "not_pass"}, sender("temperror"), WRITES),
        ({"mail_from_reject": "not_pass"}, sender("none"), WRITES),
        ({"mail_from_reject": "not_pass"}, sender("pass"), WRITES),
        ({"mail_from_reject": "never"}, sender("fail"), WRITES),
        ({"mail_from_reject": "never"}, helo("fail"), REFUSED),
        ({"mail_from_reject": "never"}, NULL_FAIL, REFUSED),
        ({"mail_from_reject": "no_check"}, sender("fail"), WRITES),
        ({"helo_reject": "softfail"}, helo("softfail"), REFUSED),
        ({"helo_reject": "not_pass"}, helo("neutral"), REFUSED),
        ({"helo_reject": "not_pass"}, helo("none"), WRITES),
        ({"helo_reject": "null_sender"}, HELO_FAIL, WRITES),
        ({"helo_reject": "null_sender"}, NULL_FAIL, REFUSED),
        ({"helo_reject": "null_sender"}, sender("fail"), REFUSED),
        ({"helo_reject": "never"}, HELO_FAIL, WRITES),
        ({"helo_reject": "no_check"}, HELO_FAIL, WRITES),
        ({"helo_reject": "no_check"}, NULL_FAIL, "DUNNO"),
        ({"helo_reject": "no_check", "mail_from_reject": "no_check"}, FAIL, "DUNNO"),
        ({"reject_only_no_mail": True}, sender("fail"), WRITES),
        ({"reject_only_no_mail": True}, sender("no-mail"), REFUSED),
        ({"reject_only_no_mail": True}, helo("no-mail"), REFUSED),
        ({"permerror_reject": True}, sender("permerror"), ERROR),
        ({"permerror_reject": True}, helo("permerror"), WRITES),
        ({"permerror_reject": True}, helo("permerror") | {"sender": ""}, ERROR),
        ({"permerror_reject": True}, sender("pass"), WRITES),
        ({"temperror_defer": True}, sender("temperror"), DEFERRED),
        ({"temperror_defer": True}, helo("temperror"), WRITES),
        ({"temperror_defer": True}, helo("temperror") | {"sender": ""}, DEFERRED),
        ({"temperror_defer": True}, helo("fail") | sender("temperror"), REFUSED),
        ({"dry_run": True}, FAIL, WRITES),
        ({"dry_run": True, "header": "none"}, FAIL, "DUNNO"),
        ({"skip_addresses": ["192.0.2.0/24"]}, FAIL, "DUNNO"),
        ({"trusted": networks("192.0.2.10")}, FAIL, "DUNNO"),
        ({}, FAIL | {"client_address": "127.0.0.1"}, "DUNNO"),
        ({}, FAIL | {"client_address": "::ffff:127.0.0.1"}, "DUNNO"),
        ({}, FAIL | {"client_address": "10.1.2.3"}, "DUNNO"),
        ({}, FAIL | {"client_address": "unknown"}, "DUNNO"),
        ({}, FAIL | {"client_address": "::ffff:198.51.100.1"}, WRITES),
        ({}, FAIL | {"client_address": "fe80::1%eth0"}, REFUSED),
        ({}, FAIL | {"sasl_username": "anna"}, "DUNNO"),
        ({"ignore_hosts": [".example.com"]}, FAIL | {"client_name": "a.example.com"}, "DUNNO"),
        ({"ignore_hosts": [".example.com"]}, FAIL, REFUSED),
        ({}, FAIL | {"protocol_state": "CONNECT"}, "DUNNO"),
        ({}, FAIL | {"protocol_state": "MAIL"}, "DUNNO"),
        ({}, FAIL | {"protocol_state": "VRFY"}, "DUNNO"),
        ({}, FAIL | {"protocol_state": "DATA", "recipient": ""}, REFUSED),
        ({}, FAIL | {"protocol_state": "END-OF-MESSAGE", "recipient": ""}, REFUSED),
        ({}, sender("pass") | {"protocol_state": "END-OF-MESSAGE"}, "DUNNO"),
        ({"allow": {"addresses": ["192.0.2.0/28"]}}, FAIL, WRITES),
        ({"allow": {"addresses": ["192.0.2.128/28"]}}, FAIL, REFUSED),
        ({"allow": {"ptr": ["partner.example"]}}, FAIL | {"client_name": "MX.partner.example."}, WRITES),
        ({"allow": {"ptr": ["partner.example"]}}, FAIL | {"client_name": "notpartner.example"}, REFUSED),
        ({"allow": {"ptr": ["partner.example"]}}, FAIL | {"client_name": "unknown"}, REFUSED),
        ({"allow": {"helo": ["mx.partner.example"]}}, FAIL | {"helo_name": "MX.Partner.Example"}, WRITES),
        (
            {"allow": {"helo": ["mx.partner.example"]}},
            FAIL | {"helo_name": "mx.partner.example", "client_address": "192.0.2.11"},
            REFUSED,
        ),
        ({"allow": {"domains": ["forwarder.example"]}}, FAIL, WRITES),
        (
            {"allow": {"domains": ["forwarder.example"]}},
            FAIL | {"client_address": "192.0.2.11"},
            REFUSED,
        ),
        ({"overrides": {"example.nl": {"mail_from_reject": "never"}}}, FAIL, WRITES),
        ({"overrides": {"Anna@Example.NL": {"mail_from_reject": "never"}}}, FAIL, WRITES),
        ({"overrides": {"else@example.nl": {"mail_from_reject": "never"}}}, FAIL, REFUSED),
        (
            {"overrides": {"example.nl": {"dry_run": True}, "anna@example.nl": {"dry_run": False}}},
            FAIL,
            REFUSED,
        ),
        ({"mail_from_reject": "never", "overrides": {"example.nl": {"mail_from_reject": "fail"}}}, FAIL, REFUSED),
        ({"overrides": {"example.nl": {"temperror_defer": True}}}, sender("temperror"), DEFERRED),
    ],
)  # fmt: skip
@pytest.mark.parametrize("knows", [True, False], ids=["cached", "asked"])
def test_options(options: dict[str, Any], attributes: dict[str, str], expected: str, knows: bool) -> None:
    assert code(Service(knows=knows, **options).ask(**attributes)) == expected


@pytest.mark.parametrize(
    ("options", "attributes", "action"),
    [
        (
            {},
            FAIL,
            "550 5.7.23 SPF fail for MAIL FROM: fail.example says: See 550 http://fail.example/?ip=192.0.2.10",
        ),
        (
            {},
            sender("no-mail"),
            "550 5.7.23 SPF fail for MAIL FROM: no-mail.example does not let 192.0.2.10 send its mail",
        ),
        (
            {"reason": "{result} {identity} {domain} {ip} {helo} {sender}"},
            HELO_FAIL | {"helo_name": "fail.example"},
            "550 5.7.23 fail HELO fail.example 192.0.2.10 fail.example bob@none.example",
        ),
        (
            {"reason": "{sender}", "mail_from_reject": "softfail"},
            {"sender": "b\u00f6b\udcff\r\n@softfail.example"},
            "550 5.7.23 b?b? @softfail.example",
        ),
        (
            {"permerror_reject": True},
            sender("permerror"),
            "550 5.7.24 SPF permerror for MAIL FROM: the SPF record of permerror.example is in error:"
            " Unknown mechanism found: ipv4:192.0.2.1",
        ),
    ],
)
def test_the_reason(options: dict[str, Any], attributes: dict[str, str], action: str) -> None:
    answer = Service(**options).ask(**attributes)
    assert answer == action
    assert write_action(answer) == f"action={action}\n\n".encode()


@pytest.mark.parametrize(
    "template", ["", "{", "a}", "{nothing}", "{domain.__class__}", "\u00fc", "a\nb", "{{x}}"]
)
def test_a_reason_that_is_none(template: str) -> None:
    with pytest.raises(ValueError, match="reason"):
        Service(reason=template)


def test_one_field_a_message() -> None:
    service = Service(knows=False)
    one = sender("pass") | {"instance": "a"}
    assert [code(service.ask(**one, recipient=f"{name}@example.nl")) for name in "xyz"] == [
        WRITES,
        "DUNNO",
        "DUNNO",
    ]
    assert service.resolver.questions.count(("pass.example", "TXT")) == 1
    assert code(service.ask(**sender("pass"), instance="b")) == WRITES


def test_both_fields_take_two_requests() -> None:
    service = Service(header="both")
    one = sender("pass") | {"instance": "a"}
    names = [service.ask(**one, recipient=f"{name}@example.nl").split(" ")[1:2] for name in "xyz"]
    assert names == [["Authentication-Results:"], ["Received-SPF:"], []]


def test_the_second_field_may_come_at_data_but_not_later() -> None:
    service = Service(header="both")
    one = sender("pass") | {"instance": "a"}
    assert code(service.ask(**one)) == WRITES
    assert service.ask(**one, protocol_state="END-OF-MESSAGE") == "DUNNO"
    assert service.ask(**one, protocol_state="DATA").startswith("PREPEND Received-SPF: pass ")


def test_each_recipient_has_its_own_rules() -> None:
    service = Service(overrides={"lenient@example.nl": {"mail_from_reject": "never"}})
    one = FAIL | {"instance": "a"}
    actions = [service.ask(**one, recipient=f"{name}@example.nl") for name in ("x", "lenient", "y")]
    assert [code(action) for action in actions] == [REFUSED, WRITES, REFUSED]
    # DATA speaks for all recipients, who have been decided about one by one.
    assert service.ask(**one, protocol_state="DATA", recipient="") == "DUNNO"


def test_messages_are_told_apart() -> None:
    service = Service()
    assert code(service.ask(**sender("pass"), instance="a")) == WRITES
    # Another Postfix that happens to use the same instance.
    assert code(service.ask(**sender("fail"), instance="a")) == REFUSED


def test_memory_ends() -> None:
    service = Service()
    one = sender("pass") | {"instance": "a"}
    assert code(service.ask(**one)) == WRITES
    service.now += 899
    assert service.ask(**one) == "DUNNO"
    service.now += 899
    assert service.ask(**one) == "DUNNO"
    service.now += 901
    assert code(service.ask(**one)) == WRITES


def test_without_an_instance_nothing_is_remembered() -> None:
    service = Service()
    assert [code(service.ask(**sender("pass"), instance="")) for _ in range(2)] == [WRITES, WRITES]


def test_one_line_a_message(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log")
    service = Service(log=log.log, knows=False)
    for recipient in ("x@example.nl", "y@example.nl"):
        service.ask(**FAIL, instance="a", recipient=recipient)
    service.ask(**sender("pass"), instance="b", queue_id="4XYZ")
    service.ask(**FAIL, sasl_username="anna", instance="c")
    refused, passed, skipped = log.lines
    log.close()
    assert refused.items() >= {
        "queue_id": "", "instance": "a", "client": "192.0.2.10", "helo": "client.none.example",
        "sender": "fail.example", "spf": "fail", "spf_helo": "none", "mechanism": "-all",
        "recipient": "x@example.nl", "action": "reject",
    }.items()  # fmt: skip
    assert passed.items() >= {"queue_id": "4XYZ", "spf": "pass", "mechanism": "ip4:192.0.2.0/24"}.items()
    assert "action" not in passed
    assert skipped.items() >= {"spf": "skipped", "reason": "from a SASL user"}.items()


def test_a_spared_message_says_so(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log")
    Service(log=log.log, dry_run=True).ask(**FAIL)
    Service(log=log.log, allow={"domains": ["forwarder.example"]}).ask(**FAIL)
    dry, allowed = log.lines
    log.close()
    assert (dry["would"], dry["spared"]) == ("550", "dry_run")
    assert (allowed["would"], allowed["spared"]) == ("550", "allow.domains")


def test_many_senders_of_one_domain_are_evaluated_once_and_told_apart(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log")
    service = Service(log=log.log)
    names = ("bob", "eve", "root")
    with patch.object(replay, "Query", Mock(wraps=Query)) as queries:
        actions = [service.ask(sender=f"{name}@pass.example") for name in names]
    lines = log.lines
    log.close()
    assert queries.call_count == 2  # HELO, and MAIL FROM
    for name, action in zip(names, actions, strict=True):
        value = action.removeprefix("PREPEND Authentication-Results:").encode()
        told = stated(value)
        assert told is not None
        assert SEALER.opened(value, told.subject, NOW)
        assert told.mail_from == f"{name}@pass.example".encode()
        assert f"smtp.mailfrom={name}@pass.example" in action
    assert [(line["spf"], line["spf_helo"], line["mechanism"]) for line in lines] == [
        ("pass", "none", "ip4:192.0.2.0/24")
    ] * len(names)
    assert service.counted("gatepost_results_total", method="spf", result="pass") == len(names)


def test_counts() -> None:
    service = Service()
    for recipient in ("x@example.nl", "y@example.nl"):
        service.ask(**FAIL, instance="a", recipient=recipient)
    service.ask(**sender("pass"), **helo("softfail"))
    assert service.counted("gatepost_results_total", method="spf", result="fail") == 1
    assert service.counted("gatepost_results_total", method="spf", result="pass") == 1
    assert service.counted("gatepost_results_total", method="spf-helo", result="softfail") == 1
    assert service.counted("gatepost_messages_total", verdict="reject") == 1
    assert service.counted("gatepost_messages_total", verdict="accept") == 1


def test_a_costly_helo_uses_up_no_questions_of_the_sender() -> None:
    zone = {
        # Five look-ups of ten addresses each, at a name that a stranger chooses.
        "costly.example": [
            {"TXT": "v=spf1 " + " ".join(f"mx:m{i}.costly.example" for i in range(5)) + " -all"}
        ],
        **{
            f"m{i}.costly.example": [{"MX": (n, f"h{n}.m{i}.costly.example")} for n in range(10)]
            for i in range(5)
        },
        **{f"h{n}.m{i}.costly.example": [{"A": "198.51.100.1"}] for i in range(5) for n in range(10)},
        # And a sender that is not the stranger's, whose record takes longer to read.
        "bank.example": [{"TXT": "v=spf1 include:i0.bank.example -all"}],
        **{f"i{i}.bank.example": [{"TXT": f"v=spf1 include:i{i + 1}.bank.example ?all"}] for i in range(8)},
        "i8.bank.example": [{"TXT": "v=spf1 ?all"}],
    }
    service = Service(zone, knows=False, helo_reject="never", message_queries=50)
    assert code(service.ask(helo_name="costly.example", sender="bob@bank.example")) == REFUSED


MESSAGES = 50
LONGEST_RECORD = "v=spf1 " + "ip4:198.51.100.1 " * 3500 + "-all"
BULK: Zone = {
    "long.example": [{"TXT": LONGEST_RECORD}],
    "no-mail.example": [{"TXT": "v=spf1 -all" + " " * 999}],
}


@pytest.mark.parametrize(
    "attributes",
    [
        {**sender("long"), **helo("long")},
        {"client_address": "1" * 60_000},
        {"client_name": "x" * 60_000},
    ],
)
def test_no_message_is_remembered_with_what_fills_the_memory(attributes: dict[str, str]) -> None:
    service = Service(BULK, ignore_hosts=["10.9.9.9"], trusted=networks("10.0.0.0/8"))
    service.ask()
    tracemalloc.start()
    try:
        for number in range(MESSAGES):
            different = {key: text + str(number) for key, text in attributes.items() if len(text) > 1000}
            service.ask(**{**attributes, **different})
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < MESSAGES * 10_000


def test_a_record_that_lets_nobody_send_is_known_by_its_words() -> None:
    service = Service(BULK, reject_only_no_mail=True)
    assert code(service.ask(**sender("no-mail"))) == REFUSED
    assert code(service.ask(**sender("long"))) == WRITES
