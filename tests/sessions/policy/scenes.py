"""What happens in the recorded policy sessions, and what has to come of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.harness.smtp import STRANGER, Client
from tests.sessions.mails import ANNA, BERT
from tests.sessions.policy.bench import LOGIN, Bench

Act = Callable[[Bench], None]


@dataclass(frozen=True)
class Scene:
    """One session to be recorded: with which *daemon*, under which *name*, what it shows, and how it comes about.

    *expect* are words that have to be in the answers, or with "!" in front must not be.
    """

    daemon: str
    name: str
    purpose: str
    act: Act
    expect: Sequence[str]


IPV6 = Client("2001:db8::25", "mx.example.org", "mx.example.org")
NAMELESS = Client("192.0.2.10", "", "plain.example.org")
NEIGHBOUR = Client("198.51.100.7", "printer.example.nl", "printer.example.nl")
LIAR = Client("192.0.2.10", "mx.example.org", "liar.example.org")
LITERAL = Client("192.0.2.10", "mx.example.org", "[192.0.2.10]")
PLAIN = Client("192.0.2.10", "mx.example.org", "plain.example.org")
SECOND = Client("192.0.2.11", "mx2.example.org", "mx2.example.org")
FAR = Client("203.0.113.77", "far.example.org", "far.example.org")
FRIENDLY = Client("203.0.113.9", "mail.friendly.example.org", "mail.friendly.example.org")

MINUTE, HOUR, DAY = 60, 3600, 86_400
PASS, FAIL, SOFTFAIL = "bob@pass.example.org", "bob@fail.example.org", "bob@softfail.example.org"
NONE = "bob@none.example.org"


def sends(service: str, sender: str, *recipients: str, **how: object) -> Act:
    """Mail from *sender* on one connection."""

    def act(bench: Bench) -> None:
        bench.sends(service, sender, *recipients, **how)  # type: ignore[arg-type]

    return act


def does(service: str, *lines: str, client: Client = STRANGER, end: str = "quit") -> Act:
    """Commands one by one, whatever is answered."""

    def act(bench: Bench) -> None:
        with bench.connect(service, client, end=end) as session:
            for line in lines:
                session.command(line)

    return act


def comes_again(*attempts: tuple[int, str, Client], sender: str = NONE) -> Act:
    """One mail after the other: so many seconds after the one before, to whom, and by which client."""

    def act(bench: Bench) -> None:
        for wait, recipient, client in attempts:
            bench.now += wait
            bench.sends("greylist", sender, recipient, client=client)

    return act


MAIL, RCPT = f"MAIL FROM:<{PASS}>", f"RCPT TO:<{BERT}>"

SPF = [
    Scene("spf", "pass", "SPF passes.", sends("spf", PASS), ["spf=pass", "gatepost-seal", "!550"]),
    Scene("spf", "fail", "SPF fails.", sends("spf", FAIL), ["550 5.7.23", "!PREPEND"]),
    Scene("spf", "softfail", "A softfail.", sends("spf", SOFTFAIL), ["spf=softfail"]),
    Scene("spf", "neutral", "Neutral.", sends("spf", "bob@neutral.example.org"), ["spf=neutral"]),
    Scene("spf", "none", "No record.", sends("spf", NONE), ["spf=none"]),
    Scene(
        "spf", "no-domain", "A domain that is not there.", sends("spf", "x@nowhere.example.org"), ["spf=none"]
    ),
    Scene("spf", "permerror", "A wrong record.", sends("spf", "x@permerror.example.org"), ["spf=permerror"]),
    Scene(
        "spf", "loop", "A record that includes itself.", sends("spf", "x@loop.example.org"), ["spf=permerror"]
    ),
    Scene("spf", "temperror", "DNS fails.", sends("spf", "x@temperror.example.org"), ["spf=temperror"]),
    Scene("spf", "timeout", "DNS is silent.", sends("spf", "x@slow.example.org"), ["spf=temperror"]),
    Scene("spf", "include", "Two includes.", sends("spf", "x@include.example.org"), ["spf=pass"]),
    Scene(
        "spf", "no-mail", "A domain that sends none.", sends("spf", "x@nomail.example.org"), ["550 5.7.23"]
    ),
    Scene(
        "spf",
        "explained",
        "An explanation with line ends and a second action in it: it stays one line.",
        sends("spf", "o'neil+x@explained.example.org"),
        ["550 5.7.23", "192.0.2.10 may not send", "!action=OK\\n"],
    ),
    Scene("spf", "null-sender", "A bounce: HELO counts.", sends("spf", ""), ["smtp.helo=mx.example.org"]),
    Scene("spf", "null-sender-fail", "A bounce of a liar.", sends("spf", "", client=LIAR), ["550 5.7.23"]),
    Scene("spf", "helo-fail", "HELO fails.", sends("spf", PASS, client=LIAR), ["550 5.7.23"]),
    Scene("spf", "helo-literal", "HELO is an address.", sends("spf", PASS, client=LITERAL), ["spf=pass"]),
    Scene("spf", "nameless", "A client without a name.", sends("spf", PASS, client=NAMELESS), ["spf=pass"]),
    Scene("spf", "ipv6", "A client on IPv6.", sends("spf", PASS, client=IPV6), ["spf=pass"]),
    Scene(
        "spf",
        "three-recipients",
        "One message to three: one field.",
        sends("spf", PASS, BERT, "carl@example.nl", "dora@example.nl"),
        ["spf=pass", "DUNNO"],
    ),
    Scene("spf", "two-messages", "Two messages: a field each.", sends("spf", PASS, messages=2), ["spf=pass"]),
    Scene(
        "spf", "pipelined", "MAIL, RCPT, DATA in one write.", sends("spf", PASS, pipelined=True), ["spf=pass"]
    ),
    Scene(
        "spf",
        "reset",
        "RSET, and the same message again, as another one.",
        does("spf", MAIL, RCPT, "RSET", MAIL, RCPT),
        ["spf=pass"],
    ),
    Scene(
        "spf",
        "abort",
        "A client that vanishes after RCPT.",
        does("spf", MAIL, RCPT, end="abort"),
        ["spf=pass"],
    ),
    Scene("spf", "login", "A user who logged in.", sends("spf", ANNA, login=LOGIN), ["DUNNO", "!PREPEND"]),
    Scene("spf", "trusted", "A trusted client.", sends("spf", ANNA, client=NEIGHBOUR), ["DUNNO", "!PREPEND"]),
    Scene(
        "spf",
        "quoted-sender",
        "A local part with blanks, at signs and semicolons.",
        sends("spf", '"a b; spf=pass"@softfail.example.org'),
        ["spf=softfail"],
    ),
    Scene(
        "spf",
        "long-sender",
        "A very long local part.",
        sends("spf", f"{'a' * 900}@pass.example.org"),
        ["DUNNO"],
    ),
    Scene(
        "spf",
        "u-label",
        "A sender in UTF-8 (SMTPUTF8).",
        sends("spf", "jürgen@müller.example", parameters=["SMTPUTF8"]),
        ["spf=pass"],
    ),
    Scene(
        "spf",
        "every-stage",
        "Asked at every stage of SMTP: an answer at RCPT alone, and nothing twice.",
        does(
            "spf-everywhere",
            "VRFY bert",
            "ETRN example.nl",
            MAIL,
            RCPT,
            "DATA",
            "Subject: x\r\n\r\nHello.\r\n.",
        ),
        ["spf=pass", "DUNNO"],
    ),
    Scene(
        "spf-strict",
        "both-fields",
        "Authentication-Results at RCPT, Received-SPF at DATA.",
        sends("spf-strict", PASS),
        ["PREPEND Authentication-Results: mail.example.nl", "PREPEND Received-SPF: pass"],
    ),
    Scene("spf-strict", "softfail", "A softfail is refused.", sends("spf-strict", SOFTFAIL), ["550 5.7.23"]),
    Scene(
        "spf-strict",
        "permerror",
        "A wrong record is refused.",
        sends("spf-strict", "x@permerror.example.org"),
        ["550 5.7.24"],
    ),
    Scene(
        "spf-strict",
        "temperror",
        "Deferred while DNS fails.",
        sends("spf-strict", "x@temperror.example.org"),
        ["451 4.7.24"],
    ),
    Scene(
        "spf-strict",
        "override",
        "Refused for one recipient, taken for another.",
        sends("spf-strict", SOFTFAIL, "lenient@example.nl", BERT),
        ["550 5.7.23", "spf=softfail"],
    ),
]

WAIT, PASSED = "DEFER_IF_PERMIT 4.2.0", "PREPEND X-Greylist: delayed"

GREYLIST = [
    Scene("greylist", "first", "A stranger has to wait.", comes_again((0, BERT, STRANGER)), [WAIT]),
    Scene(
        "greylist",
        "too-early",
        "It comes again too early.",
        comes_again((0, BERT, STRANGER), (MINUTE, BERT, STRANGER)),
        [WAIT, "240 seconds", "!PREPEND"],
    ),
    Scene(
        "greylist",
        "in-time",
        "It comes again in time, and is known from then on.",
        comes_again((0, BERT, STRANGER), (6 * MINUTE, BERT, STRANGER), (DAY, BERT, STRANGER)),
        [WAIT, f"{PASSED} 360 seconds", "DUNNO"],
    ),
    Scene(
        "greylist",
        "too-late",
        "It comes again after three days: as a stranger.",
        comes_again((0, BERT, STRANGER), (3 * DAY, BERT, STRANGER)),
        [WAIT, "!PREPEND"],
    ),
    Scene(
        "greylist",
        "same-network",
        "The second attempt comes from a neighbour of the first.",
        comes_again((0, BERT, STRANGER), (6 * MINUTE, BERT, SECOND)),
        [WAIT, PASSED],
    ),
    Scene(
        "greylist",
        "other-network",
        "The second attempt comes from far away.",
        comes_again((0, BERT, STRANGER), (6 * MINUTE, BERT, FAR)),
        [WAIT, "!PREPEND"],
    ),
    Scene(
        "greylist",
        "pool",
        "The second attempt comes from far away, and SPF says that both are the sender's.",
        comes_again((0, BERT, STRANGER), (6 * MINUTE, BERT, FAR), sender="bob@pool.example.org"),
        [WAIT, PASSED],
    ),
    Scene(
        "greylist",
        "other-recipient",
        "Another recipient of the same sender waits too.",
        comes_again((0, BERT, STRANGER), (6 * MINUTE, "carl@example.nl", STRANGER)),
        [WAIT, "!PREPEND"],
    ),
    Scene(
        "greylist",
        "auto-allow",
        "After five deliveries everything passes.",
        comes_again(
            (0, BERT, STRANGER),
            *[(2 * HOUR, BERT, STRANGER)] * 6,
            (HOUR, "carl@example.nl", STRANGER),
        ),
        [WAIT, PASSED, "DUNNO"],
    ),
    Scene(
        "greylist",
        "allowed-client",
        "A client of the list.",
        comes_again((0, BERT, FRIENDLY)),
        ["DUNNO", "!DEFER"],
    ),
    Scene(
        "greylist",
        "allowed-recipient",
        "A recipient of the list.",
        comes_again((0, "postmaster@example.nl", STRANGER)),
        ["DUNNO", "!DEFER"],
    ),
    Scene(
        "greylist",
        "login",
        "A user who logged in.",
        sends("greylist", ANNA, login=LOGIN),
        ["DUNNO", "!DEFER"],
    ),
    Scene(
        "greylist",
        "trusted",
        "A trusted client.",
        sends("greylist", ANNA, client=NEIGHBOUR),
        ["DUNNO", "!DEFER"],
    ),
    Scene(
        "greylist",
        "null-sender",
        "A bounce waits like everything else.",
        comes_again((0, BERT, PLAIN), (6 * MINUTE, BERT, PLAIN), sender=""),
        [WAIT, PASSED],
    ),
]


def _varied(bench: Bench) -> None:
    for number, wait in ((1, 0), (2, 6 * MINUTE)):
        bench.now += wait
        bench.sends("greylist", f"list-bounces+{number}000{number}@none.example.org")


def _two(bench: Bench) -> None:
    with bench.connect("greylist") as session:
        for line in (f"MAIL FROM:<{NONE}>", RCPT, "RCPT TO:<carl@example.nl>"):
            session.command(line)
    bench.now += 6 * MINUTE
    bench.sends("greylist", NONE, BERT, "carl@example.nl")


GREYLIST += [
    Scene("greylist", "varied-sender", "A list whose sender differs each time.", _varied, [WAIT, PASSED]),
    Scene("greylist", "two-recipients", "Both wait, both pass, one field.", _two, [WAIT, PASSED, "DUNNO"]),
]

SCENES = [*SPF, *GREYLIST]
