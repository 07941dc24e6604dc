"""What is said about a Postfix: tables of a configuration that was in order, and what was changed in it."""

from __future__ import annotations

import pytest

from gatepost.config.settings import Config
from tests.unit.postfix.support import (
    BORDER_LINE,
    CLEANUP,
    DEFAULTS,
    ENFORCE,
    FILTER_LINE,
    GREYLIST_LINE,
    INWARD,
    INWARD_LINE,
    OUTWARD,
    OUTWARD_LINE,
    PORT,
    SIGN,
    SPF_LINE,
    STAMP,
    VERIFY,
    Change,
    after,
    brief,
    changed,
    config,
    found,
)


@pytest.mark.parametrize(
    ("changes", "expected", "words"),
    [
        # milters on the port for the world
        ([(BORDER_LINE, f"smtpd_milters = {VERIFY}")], [("error", PORT)], "dmarc-enforce is missing"),
        ([(BORDER_LINE, f"smtpd_milters = {ENFORCE}")], [("error", PORT)], "dkim-verify is missing"),
        ([(BORDER_LINE, "smtpd_milters =")], [("error", PORT)], "dkim-verify and dmarc-enforce are missing"),
        ([(BORDER_LINE, f"smtpd_milters = {ENFORCE} {VERIFY}")], [("error", PORT)], "before dkim-verify"),
        (
            [(BORDER_LINE, f"smtpd_milters = {VERIFY}, {ENFORCE}, {VERIFY}")],
            [("error", PORT), ("error", PORT)],
            "dkim-verify stands here 2 times",
        ),
        ([(BORDER_LINE, f"{BORDER_LINE}, {STAMP}")], [("error", PORT)], "nothing to do before the content filter"),
        ([(BORDER_LINE, f"{BORDER_LINE}, {SIGN}")], [], ""),
        ([(BORDER_LINE, f"{BORDER_LINE}, inet:127.0.0.1:11332")], [], ""),
        ([(BORDER_LINE, f"a = {VERIFY}\nb = ${{a}}\nsmtpd_milters = $b, ${{b?{ENFORCE}}}")], [], ""),
        ([(FILTER_LINE, f"{FILTER_LINE} -o {{ smtpd_milters = {VERIFY} , {ENFORCE} }}")], [], ""),
        (
            [(FILTER_LINE, f"{FILTER_LINE} -o {{ smtpd_milters = {VERIFY} }}")],
            [("error", PORT)],
            f"postconf -P 'smtpd/pass/smtpd_milters = {VERIFY}, {ENFORCE}'",
        ),
        (
            [(FILTER_LINE, f"{FILTER_LINE} -o smtpd_milters={VERIFY} -o receive_override_options=no_milters")],
            [("error", PORT), ("error", PORT)],
            "no_milters switches",
        ),
        # the port behind the filter
        ([(INWARD_LINE, f"-o smtpd_milters={VERIFY}")], [("error", INWARD)], "dmarc-stamp is missing"),
        ([(INWARD_LINE, "-o smtpd_milters=")], [("error", INWARD)], "dkim-verify and dmarc-stamp are missing"),
        (
            [(INWARD_LINE, "")],
            [("error", INWARD), ("error", INWARD)],
            "a refusal would become a bounce",
        ),
        ([(INWARD_LINE, f"-o smtpd_milters={STAMP}")], [], ""),
        (
            [(INWARD_LINE, f"-o smtpd_milters={STAMP},{VERIFY}")],
            [("error", INWARD)],
            f"'127.0.0.1:10025/inet/smtpd_milters = {VERIFY}, {STAMP}'",
        ),
        (
            [(INWARD_LINE, f"-o smtpd_milters={VERIFY},{SIGN},{STAMP}")],
            [("error", INWARD)],
            "would sign what strangers send",
        ),
        # mail of users
        ([(OUTWARD_LINE, "-o smtpd_milters=")], [("error", OUTWARD)], "submission/inet and smtps/inet is not signed"),
        (
            [(OUTWARD_LINE, f"-o smtpd_milters={SIGN} -o receive_override_options=no_milters")],
            [("error", OUTWARD), ("error", OUTWARD)],
            "is not signed",
        ),
        ([("non_smtpd_milters = inet:127.0.0.1:8892", "")], [("hint", "non_smtpd_milters")], "local programs"),
        (
            [("non_smtpd_milters = inet:127.0.0.1:8892", "non_smtpd_milters = $smtpd_milters")],
            [("warning", "non_smtpd_milters")],
            f"postconf -e 'non_smtpd_milters = {VERIFY}, {SIGN}'",
        ),
        # sockets
        (
            [(BORDER_LINE, f"smtpd_milters = inet:8891@127.0.0.1, {ENFORCE}")],
            [("error", PORT), ("error", PORT)],
            "libmilter's way to write a socket; mend: inet:127.0.0.1:8891",
        ),
        (
            [(BORDER_LINE, f"smtpd_milters = inet:192.0.2.1:8891, {ENFORCE}")],
            [("error", PORT), ("error", PORT)],
            "dkim-verify listens on inet:127.0.0.1:8891, not on inet:192.0.2.1:8891",
        ),
        ([(BORDER_LINE, f"smtpd_milters = inet:localhost:8891, {ENFORCE}")], [], ""),
        (
            [(BORDER_LINE, f"{BORDER_LINE}, inet:127.0.0.1:10023")],
            [("error", PORT)],
            "greylist is a policy service, no milter",
        ),
        # what Postfix does without us
        ([("action = tempfail", "action = accept")], [("warning", "milter_default_action")], "forged results come in"),
        ([("action = tempfail", "action = reject")], [("warning", "milter_default_action")], "refused for good"),
        (
            [("action = tempfail", "action = shutdown")],
            [("warning", "milter_default_action")],
            "does not know it",
        ),
        ([("action = tempfail", "action = quarantine")], [("warning", "milter_default_action")], "is held"),
        ([("milter_default_action = tempfail", "")], [], ""),
        (
            [(OUTWARD_LINE, f"{OUTWARD_LINE} -o milter_default_action=accept")],
            [("warning", f"{OUTWARD}/milter_default_action")],
            f"postconf -P '{OUTWARD}/milter_default_action = tempfail'",
        ),
        (
            [(BORDER_LINE, f"smtpd_milters = {{ {VERIFY}, default_action=accept }}, {ENFORCE}")],
            [("warning", f"{PORT}/smtpd_milters {VERIFY}")],
            "mend: default_action=tempfail",
        ),
        ([(BORDER_LINE, f"{BORDER_LINE}\nmilter_protocol = 4")], [("error", "milter_protocol")], "white space"),
        ([("newline = normalize", "newline = no")], [("warning", "smtpd_forbid_bare_newline")], "smuggle"),
        (
            [(FILTER_LINE, f"{FILTER_LINE} -o smtpd_forbid_bare_newline=no")],
            [("warning", f"{PORT}/smtpd_forbid_bare_newline")],
            "smuggle",
        ),
        # who is one of us
        (
            [("mynetworks = 127.0.0.0/8", "mynetworks = 127.0.0.0/8 192.0.2.0/28 !192.0.2.9")],
            [("warning", "mynetworks")],
            "192.0.2.0/28 may relay",
        ),
        (
            [("mynetworks = 127.0.0.0/8", "mynetworks = 10.1.2.0/24 [::ffff:10.1.2.0]/120 127.0.0.0/8")],
            [("warning", "mynetworks")],
            "10.1.2.0/24 may relay",
        ),
        ([("127.0.0.0/8 [::1]/128", "127.0.0.0/8")], [("warning", "trusted_networks")], "::1/128 is trusted"),
        ([("mynetworks = 127.0.0.0/8 [::1]/128", "mynetworks = cidr:/etc/postfix/networks")], [], ""),
        # policy services
        ([(SPF_LINE, "")], [("error", PORT)], "check_policy_service unix:private/gatepost-spf, check_policy_service"),
        ([(GREYLIST_LINE, "")], [("warning", PORT)], "greylist is not asked"),
        ([(SPF_LINE + GREYLIST_LINE, GREYLIST_LINE + SPF_LINE)], [("hint", PORT)], "greylist is asked before spf"),
        ([(SPF_LINE, SPF_LINE * 2)], [("warning", PORT)], "spf is asked twice"),
        ([(SPF_LINE, f"    permit\n{SPF_LINE}")], [("error", PORT), ("error", PORT)], "never asked"),
        (
            [("private/gatepost-spf", "private/policyd-spf")],
            [("error", PORT), ("warning", PORT)],
            "take check_policy_service unix:private/policyd-spf out of smtpd_recipient_restrictions",
        ),
        ([("compatibility_level = 3.6", "compatibility_level = 2")], [], ""),
        (
            [("compatibility_level = 3.6", "smtpd_policy_service_timeout = 10s\ncompatibility_level = 3.6")],
            [("warning", "smtpd_policy_service_timeout")] * 2,
            "Postfix waits 10 s for spf, which may take 25 s",
        ),
        (
            [(SPF_LINE, "    check_policy_service { unix:private/gatepost-spf, timeout=20s }\n")],
            [("warning", "smtpd_policy_service_timeout")],
            "waits 20 s",
        ),
    ],
)  # fmt: skip
def test_the_shipped_pipeline_with_one_thing_changed(
    changes: list[Change], expected: list[tuple[str, str]], words: str
) -> None:
    findings = after("filtered", changes, config())
    assert brief(findings) == expected
    assert words in "\n".join(map(str, findings))


FIRST_ASKED = "smtpd_recipient_restrictions =\n    permit_mynetworks\n"


@pytest.mark.parametrize(
    ("level", "expected"), [("3.6", []), ("2", [("warning", PORT)])], ids=["relay first", "recipient first"]
)
def test_a_policy_service_before_relaying_is_refused(level: str, expected: list[tuple[str, str]]) -> None:
    """Whether that matters depends on which list counts first, and so on the compatibility level."""
    changes = [
        (SPF_LINE, ""),
        (FIRST_ASKED, f"{FIRST_ASKED}{SPF_LINE}"),
        ("compatibility_level = 3.6", f"compatibility_level = {level}"),
    ]
    assert brief(after("filtered", changes, config())) == expected


@pytest.mark.parametrize(
    ("changes", "expected", "words"),
    [
        ([(f"{VERIFY}, {SIGN}, ", f"{VERIFY}, ")], [("error", "submission/inet"), ("error", "smtps/inet")], "signed"),
        ([(f"{VERIFY}, {SIGN}, {ENFORCE}", f"{SIGN}, {ENFORCE}")], [("error", "smtp/inet")], "dkim-verify is missing"),
        (
            [("-o smtpd_tls_wrappermode=yes", f"-o smtpd_tls_wrappermode=yes -o smtpd_milters={SIGN}")],
            [],
            "",
        ),
        (
            [(f"{VERIFY}, {SIGN}, {ENFORCE}", f"{ENFORCE}, {SIGN}, {VERIFY}")],
            [("error", each) for each in ("smtp/inet", "submission/inet", "smtps/inet")],
            f"smtp/inet/smtpd_milters = {VERIFY}, {SIGN}, {ENFORCE}",
        ),
    ],
)  # fmt: skip
def test_the_shipped_simple_server_with_one_thing_changed(
    changes: list[Change], expected: list[tuple[str, str]], words: str
) -> None:
    findings = after("simple", changes, config("dmarc-stamp"))
    assert brief(findings) == expected
    assert words in "\n".join(map(str, findings))


@pytest.mark.parametrize(
    ("kind", "whole", "expected", "words"),
    [
        (
            "filtered",
            config(trusted_networks=["192.0.2.1"]),
            [("error", "trusted_networks")] * 2
            + [("warning", "mynetworks"), ("warning", "trusted_networks")],
            'trusted_networks: ["192.0.2.1/32", "127.0.0.1"]',
        ),
        (
            "filtered",
            config(believe_unsealed_from=["127.0.0.1"]),
            [("warning", "believe_unsealed_from")],
            "can write any result under mail.example.nl",
        ),
        ("filtered", config("dmarc-stamp"), [("error", INWARD)], "a dmarc daemon has to stamp"),
        ("simple", config(), [("error", each) for each in ("smtp/inet",)], "dmarc-stamp is missing"),
        (
            "simple",
            config("dmarc-stamp", "dmarc-enforce"),
            [("warning", "daemons.dkim-verify.seal")],
            "seal: no",
        ),
        (
            "simple",
            changed(config("dmarc-stamp", "dmarc-enforce"), "dkim-verify", seal=False),
            [],
            "",
        ),
    ],
)
def test_the_shipped_files_with_another_configuration(
    kind: str, whole: Config, expected: list[tuple[str, str]], words: str
) -> None:
    findings = after(kind, [], whole)
    assert brief(findings) == expected
    assert words in "\n".join(map(str, findings))


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("3.10.5", []),
        ("3.11.0", []),
        ("3.8.6", []),
        ("3.8.5", [("error", "mail_version")]),
        ("3.7.11", [("hint", "mail_version")]),
        ("3.12-20260901", []),
        ("unknown", []),
    ],
)
def test_versions(version: str, expected: list[tuple[str, str]]) -> None:
    defaults = DEFAULTS.replace("mail_version = 3.10.5", f"mail_version = {version}")
    assert brief(after("filtered", [], config(), defaults)) == expected


def test_an_old_version_that_knows_nothing_of_smuggling() -> None:
    defaults = "mail_version = 3.5.6\nmilter_protocol = 6\nmilter_default_action = tempfail\n"
    findings = after("filtered", [], config("spf", "greylist"), defaults)
    assert ("warning", "smtpd_forbid_bare_newline") in brief(findings)


def test_shutdown_is_known_since_3_11() -> None:
    defaults = DEFAULTS.replace("mail_version = 3.10.5", "mail_version = 3.11.1")
    assert after("filtered", [("action = tempfail", "action = shutdown")], config(), defaults) == []


def test_a_peer_at_the_border() -> None:
    """OpenDKIM still verifies in front, ours is inside: its word is not sealed."""
    milters = (BORDER_LINE, "smtpd_milters = inet:127.0.0.1:12301")
    whole = config("dmarc-enforce", "spf", "greylist")
    removed = after("filtered", [milters, (SPF_LINE, ""), (GREYLIST_LINE, "")], whole)
    assert brief(removed) == [("error", PORT), ("warning", PORT)]
    assert "bears no seal, and is removed on 127.0.0.1:10025/inet" in removed[1].text
    assert "of inet:127.0.0.1:12301 nothing is in our configuration" in removed[0].text
    believed = config("dmarc-enforce", "spf", "greylist", believe_unsealed_from=["127.0.0.1"])
    findings = after("filtered", [milters, (SPF_LINE, ""), (GREYLIST_LINE, "")], believed)
    assert brief(findings) == [("error", PORT), ("warning", "believe_unsealed_from")]


def test_no_smtpd_at_all() -> None:
    main = "mynetworks = 127.0.0.0/8 [::1]/128"
    assert brief(found(main, CLEANUP, config("dkim-sign"))) == [("error", "master.cf")]
