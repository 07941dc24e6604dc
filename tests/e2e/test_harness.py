"""The test bench itself: a real Postfix in its three layouts, with the real OpenDKIM in our place."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.harness.delivery import compose
from tests.harness.keys import KeyPair, ed25519_key, passes, rsa_key
from tests.harness.layouts import Layout, layout_a, layout_b, layout_c
from tests.harness.opendkim import OpenDkim
from tests.harness.postfix import Postfix, Smtpd
from tests.harness.smtp import STRANGER, Client, DisconnectedError, RefusedError, Session, deliver, stuffed
from tests.harness.waiting import wait_for
from tests.harness.watcher import Watcher

ANNA, BERT = "anna@example.nl", "bert@example.nl"
FRIEND = "friend@example.org"


def message(sender: str, recipient: str, body: str = "Hello.\n") -> bytes:
    return compose(
        [
            ("From", sender),
            ("To", recipient),
            ("Subject", "A word"),
            ("Date", "Sat, 21 Nov 2026 10:00:00 +0000"),
            ("Message-ID", "<1@example.org>"),
        ],
        body,
    )


@dataclass(frozen=True)
class Peers:
    """OpenDKIM as signer and as verifier, and the keys that they know."""

    signer: OpenDkim
    verifier: OpenDkim
    ours: KeyPair
    theirs: KeyPair


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    ours, theirs = rsa_key("example.nl"), rsa_key("example.org")
    directory = tmp_path_factory.mktemp("opendkim")
    signer = OpenDkim(directory / "signer", keys=[ours])
    verifier = OpenDkim(directory / "verifier", records={theirs.name: theirs.record})
    with signer, verifier:
        yield Peers(signer, verifier, ours, theirs)


LAYOUTS = ("A", "B", "C")


def layout(kind: str, peers: Peers) -> Layout:
    """The layout with verifier and signer where they have to stand in it."""
    verify, sign = [peers.verifier.milter], [peers.signer.milter]
    if kind == "A":
        return layout_a(border=verify, outward=sign)
    if kind == "B":
        return layout_b(inward=verify, outward=sign)
    # The signer signs for internal clients only, and a stranger is none; a user is one by login.
    return layout_c(milters=[*verify, *sign])


@pytest.mark.parametrize("kind", LAYOUTS)
def test_mail_comes_in_verified_and_goes_out_signed(kind: str, peers: Peers) -> None:
    good = peers.theirs.sign(message(FRIEND, BERT))
    with layout(kind, peers) as running:
        running.receive(good, FRIEND, [BERT])
        running.receive(good.replace(b"Hello.", b"Hello!"), FRIEND, [ANNA])
        running.submit(message(ANNA, FRIEND), ANNA, [FRIEND])

        [whole] = running.postfix.wait_for_delivery(BERT)
        [altered] = running.postfix.wait_for_delivery(ANNA)
        [sent] = running.postfix.wait_for_delivery(FRIEND)

    assert "dkim=pass" in whole.values("Authentication-Results")[0]
    assert "dkim=fail" in altered.values("Authentication-Results")[0]
    assert whole.octets.endswith(good)
    assert passes(sent.octets, {peers.ours.name: peers.ours.record}) == [True]


@pytest.mark.parametrize(
    ("kind", "shown"),
    [("A", True), ("B", False), ("C", True)],
)
def test_what_a_milter_at_the_border_is_shown(kind: str, shown: bool) -> None:
    """Before the queue (B) it gets everything up to DATA, and then neither header nor body nor an end."""
    with Watcher() as watcher:
        border = [watcher.milter]
        running = {"A": layout_a(border=border), "B": layout_b(border=border)}.get(kind)
        with running or layout_c(milters=border) as running:
            running.receive(message(FRIEND, BERT), FRIEND, [BERT])
            [delivered] = running.postfix.wait_for_delivery(BERT)
    assert delivered.body == b"Hello.\r\n"
    seen = "".join(watcher.seen)
    # Option negotiation, then connect; MAIL, RCPT and DATA follow in each layout.
    assert "MRT" in seen
    assert ("L" in seen, "N" in seen, "B" in seen, "E" in seen) == (shown,) * 4


def test_opendkim_at_the_border_of_b_verifies_nothing(peers: Peers) -> None:
    with layout_b(border=[peers.verifier.milter]) as running:
        running.receive(peers.theirs.sign(message(FRIEND, BERT)), FRIEND, [BERT])
        [delivered] = running.postfix.wait_for_delivery(BERT)
    assert delivered.values("Authentication-Results") == []


def test_a_refusal_behind_the_filter_reaches_the_client_only_before_the_queue() -> None:
    with Watcher({"E": b"y550 5.7.1 Not this one\0"}) as refusing:
        with layout_b(inward=[refusing.milter]) as before, pytest.raises(RefusedError) as refused:
            before.receive(message(FRIEND, BERT), FRIEND, [BERT])
        with layout_a(inward=[refusing.milter]) as after:
            after.receive(message(FRIEND, BERT), FRIEND, [BERT])
            [bounce] = after.postfix.wait_for_delivery(FRIEND)
    assert (refused.value.stage, refused.value.reply.code) == ("END", 550)
    assert "Not this one" in refused.value.reply.text
    assert bounce.sender == ""


@pytest.fixture(scope="module")
def postfix() -> Iterator[Postfix]:
    services = [
        Smtpd(name="mx"),
        Smtpd(name="submission", sasl=True, networks=["127.0.0.255/32"]),
    ]
    with Postfix(services, users={ANNA: "secret"}) as postfix:
        yield postfix


OCTETS = {
    "dots": "one\n.two\n..three\n.\nfour\n",
    "white space": "trailing  \n\t\n  leading\n\n\n",
    "eight bits": "Zażółć gęślą jaźń\n",
    "empty": "",
    "a long line": "x" * 990 + "\n",
    "from": "From here on\n",
}


@pytest.mark.parametrize("name", OCTETS)
@pytest.mark.parametrize("inside", [True, False])
def test_a_body_arrives_octet_for_octet(postfix: Postfix, name: str, inside: bool) -> None:
    recipient = f"{name.replace(' ', '-')}@{'example.nl' if inside else 'example.org'}"
    sent = message(FRIEND, recipient, OCTETS[name])
    deliver(postfix.port("mx"), sent, FRIEND, [recipient], "BODY=8BITMIME")
    [delivered] = postfix.wait_for_delivery(recipient)
    assert delivered.octets.endswith(sent)
    assert delivered.sender == FRIEND
    assert delivered.values("subject") == ["A word"]


def test_header_fields_keep_their_folds(postfix: Postfix) -> None:
    sent = b"From: friend@example.org\r\nSubject: one\r\n\ttwo \r\n three\r\n\r\n"
    deliver(postfix.port("mx"), sent, FRIEND, ["folds@example.nl"], client=STRANGER)
    [delivered] = postfix.wait_for_delivery("folds@example.nl")
    assert (b"Subject", b" one\n\ttwo \n three") in delivered.fields
    assert delivered.values("Subject") == ["one\ttwo  three"]


def test_smtputf8(postfix: Postfix) -> None:
    sent = message("jürgen@example.org", BERT)
    deliver(postfix.port("mx"), sent, "jürgen@example.org", ["utf8@example.nl"], "SMTPUTF8", "BODY=8BITMIME")
    [delivered] = postfix.wait_for_delivery("utf8@example.nl")
    assert delivered.values("From") == ["jürgen@example.org"]


@pytest.mark.parametrize(
    ("client", "received"),
    [
        (STRANGER, "mx.example.org (mx.example.org [192.0.2.10])"),
        (Client("198.51.100.7", helo="liar"), "liar (unknown [198.51.100.7])"),
        (Client("2001:db8::25", "six.example.org"), "(six.example.org [IPv6:2001:db8::25])"),
    ],
)
def test_a_test_can_be_any_client(postfix: Postfix, client: Client, received: str) -> None:
    recipient = f"{client.address.replace(':', '-')}@example.nl"
    deliver(postfix.port("mx"), message(FRIEND, recipient), FRIEND, [recipient], client=client)
    [delivered] = postfix.wait_for_delivery(recipient)
    assert received in delivered.values("Received")[0]


def test_strangers_do_not_relay(postfix: Postfix) -> None:
    with pytest.raises(RefusedError, match="RCPT: 554"):
        deliver(postfix.port("mx"), message(ANNA, FRIEND), ANNA, [FRIEND], client=STRANGER)


@pytest.mark.parametrize(
    ("login", "stage"), [((ANNA, "wrong"), "AUTH"), (("nobody", "secret"), "AUTH"), (None, "RCPT")]
)
def test_submission_is_for_users(postfix: Postfix, login: tuple[str, str] | None, stage: str) -> None:
    with pytest.raises(RefusedError) as refused:
        deliver(postfix.port("submission"), message(ANNA, FRIEND), ANNA, [FRIEND], login=login)
    assert refused.value.stage == stage


def test_several_messages_and_pipelining_on_one_connection(postfix: Postfix) -> None:
    with Session(postfix.port("mx")) as session:
        session.ehlo()
        for number in range(3):
            recipients = [f"p{number}@example.nl", f"q{number}@example.nl"]
            session.send_pipelined(message(FRIEND, recipients[0]), FRIEND, recipients)
        session.quit()
    for number in range(3):
        assert len(postfix.wait_for_delivery(f"p{number}@example.nl")) == 1
        assert len(postfix.wait_for_delivery(f"q{number}@example.nl")) == 1


STAGES = ("banner", "EHLO", "MAIL", "RCPT", "DATA", "half a message")


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("reset", [True, False])
def test_a_client_may_vanish_anywhere(postfix: Postfix, stage: str, reset: bool) -> None:
    before = postfix.log().count("disconnect from")
    session = Session(postfix.port("mx"))
    steps: list[Callable[[], object]] = [
        session.ehlo,
        lambda: session.command(f"MAIL FROM:<{FRIEND}>"),
        lambda: session.command("RCPT TO:<gone@example.nl>"),
        lambda: session.command("DATA"),
        lambda: session.write(stuffed(message(FRIEND, "gone@example.nl"))[:-8]),
    ]
    for step in steps[: STAGES.index(stage)]:
        step()
    if reset:
        session.abort()
    else:
        session.close()
    wait_for(lambda: postfix.log().count("disconnect from") > before, "the end of the session")
    assert postfix.deliveries("gone@example.nl") == []


def test_a_server_that_hangs_up_is_told_apart_from_one_that_refuses(postfix: Postfix) -> None:
    with Session(postfix.port("mx")) as session:
        session.command("QUIT")
        with pytest.raises(DisconnectedError):
            session.reply()


def test_deferred_mail_stays_until_it_is_flushed_or_deleted(postfix: Postfix) -> None:
    def reasons() -> list[str]:
        return [each["recipients"][0].get("delay_reason", "") for each in postfix.queue()]

    postfix.outside.answers["END"] = "451 4.3.0 Come back later"
    for recipient in ("later@example.org", "never@example.org"):
        deliver(postfix.port("mx"), message(FRIEND, recipient), FRIEND, [recipient])
    wait_for(lambda: [bool(reason) for reason in reasons()] == [True, True], "two deferrals")
    assert all("Come back later" in reason for reason in reasons())
    never = next(
        each["queue_id"]
        for each in postfix.queue()
        if each["recipients"][0]["address"] == "never@example.org"
    )
    postfix.postsuper("-d", never)

    del postfix.outside.answers["END"]
    postfix.flush()
    postfix.wait_for_delivery("later@example.org")
    postfix.wait_until_idle()
    assert postfix.deliveries("never@example.org") == []


def test_dkimpy_judges_each_signature_by_itself() -> None:
    rsa, ed, unknown = rsa_key("example.org"), ed25519_key("example.org"), rsa_key("example.net")
    signed = unknown.sign(ed.sign(rsa.sign(message(FRIEND, BERT))))
    records = {rsa.name: rsa.record, ed.name: ed.record}
    assert passes(signed, records) == [False, True, True]
    assert passes(signed + b"more\r\n", records) == [False, False, False]


def test_nothing_is_left_behind() -> None:
    with layout_a() as running:
        directory = running.postfix.directory
        pid = int((directory / "queue" / "pid" / "master.pid").read_text())
    assert not directory.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
