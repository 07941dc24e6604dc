"""What is said about configurations that guides print, before and after they are mended."""

from __future__ import annotations

from gatepost.config.addresses import SocketAddress
from tests.unit.postfix.support import (
    DATA,
    ENFORCE,
    INWARD,
    INWARD_LINE,
    SIGN,
    STAMP,
    VERIFY,
    brief,
    changed,
    config,
    found,
)


def test_the_guide_with_a_filter_before_the_queue() -> None:
    """Its milters stand where they see no message, and what should stand behind the filter is not there."""
    main, master = ((DATA / f"proxied.{part}.txt").read_text() for part in ("main", "master"))
    findings = found(main, master, config())
    assert brief(findings) == [
        ("error", "smtpd/pass"),
        ("error", INWARD),
        ("error", "daemons.dkim-verify.verify_local"),
        ("error", "smtpd/pass"),
        ("warning", "non_smtpd_milters"),
        ("warning", "smtpd/pass"),
        ("warning", "smtpd/pass"),
        ("warning", "milter_default_action"),
    ]
    blind, behind, _, unasked, *_ = findings
    assert "no milter sees a header or body: dkim-verify and dmarc-enforce" in blind.text
    assert blind.mend == "postconf -P 'smtpd/pass/smtpd_milters = '"
    assert behind.mend == f"postconf -P '{INWARD}/smtpd_milters = {VERIFY}, {ENFORCE}, {STAMP}'"
    assert unasked.text == "spf is not asked"


def test_the_guide_mended() -> None:
    """What the findings say mends it."""
    main, master = ((DATA / f"proxied.{part}.txt").read_text() for part in ("main", "master"))
    master = master.replace(f"-o smtpd_milters={VERIFY},{ENFORCE} ", "-o smtpd_milters= ")
    master = master.replace(INWARD_LINE, f"-o smtpd_milters={VERIFY},{ENFORCE},{STAMP}")
    main = main.replace("action = accept", "action = tempfail")
    main = main.replace("non_smtpd_milters = $smtpd_milters", f"non_smtpd_milters = {SIGN}")
    main = main.replace(
        "check_policy_service unix:private/policyd-spf, reject_unauth_destination",
        "reject_unauth_destination, check_policy_service unix:private/gatepost-spf,"
        " check_policy_service inet:127.0.0.1:10023",
    )
    assert found(main, master, changed(config(), "dkim-verify", verify_local=True)) == []


def compact() -> tuple[str, str]:
    """A guide with one milter for all ports, one filter for all mail, and a port behind it without milters."""
    main, master = ((DATA / f"compact.{part}.txt").read_text() for part in ("main", "master"))
    return main, master


def test_the_compact_guide_before_the_change() -> None:
    findings = found(*compact(), config("dmarc-enforce", "dmarc-stamp", "spf"))
    assert brief(findings) == [
        ("error", "smtp/inet"),
        ("error", INWARD),
        ("error", "submission/inet"),
        ("warning", "smtp/inet"),
        ("hint", "non_smtpd_milters"),
    ]
    assert findings[1].mend.endswith("without no_milters in receive_override_options")


def test_the_compact_guide_after_the_change() -> None:
    main, master = compact()
    main = main.replace(
        "unix:var/run/opendkim/opendkim.sock", "unix:gatepost/dkim-verify, unix:gatepost/dkim-sign"
    )
    main = main.replace("unix:private/policyd-spf", "inet:127.0.0.1:10024").replace("= accept", "= tempfail")
    whole = changed(config("dmarc-enforce", "dmarc-stamp", "spf"), "dkim-verify", seal=False)
    for name in ("dkim-verify", "dkim-sign"):
        address = SocketAddress.parse(f"unix:/var/spool/postfix/gatepost/{name}")
        whole = changed(whole, name, socket=[address])
    assert found(main, master, whole) == []
