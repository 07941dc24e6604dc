"""Scenes about SMTP itself: how sessions begin, go wrong and end, who comes, and what is in a message at all."""

from __future__ import annotations

from milters.recording.generated import generate
from tests.sessions.bench import LOGIN
from tests.sessions.mails import ANNA, BERT, FRIEND, mail, signed
from tests.sessions.scene import (
    IPV6,
    NAMELESS,
    NEIGHBOUR,
    Scene,
    breaks_off,
    does,
    leaves_before_the_verdict,
    only_connects,
    sends,
)

MAIL, RCPT = f"MAIL FROM:<{FRIEND}>", f"RCPT TO:<{BERT}>"
UNTOUCHED = ["accept", "!insert", "!remove"]
NONE, PASS = "dkim=none", "dkim=pass"
HEAD = (
    b"From: friend@example.org\r\nTo: bert@example.nl\r\nDate: Sat, 21 Nov 2026 09:59:30 +0000\r\n"
    b"Message-ID: <1@example.org>\r\n"
)


def _body(octets: bytes) -> bytes:
    """A signed mail with exactly this body."""
    return signed(HEAD + b"\r\n" + octets, canonicalization="simple/simple")


def _recipients(count: int) -> list[str]:
    return [f"user{number}@example.nl" for number in range(count)]


_MANY_FIELDS = tuple((f"X-Field-{number}", "something") for number in range(1100))
_LARGE_FIELD = ("X-Large", "word " * 12_000)
_FOLDS = b"Subject:\r\n  folded\r\n\t  with \t tabs  \r\n   and more   \r\nX-Empty:\r\nX-Space: \r\n"
_AT_THE_CUT = b"0123456789abcdefghij" * 3276 + b"0123456789abcd\r\n" + b"and a line behind it\r\n"

SCENES = [
    # -- how sessions begin and end
    Scene("verify", "quit-after-connect", "A client that connects and quits.", only_connects(greet=False)),
    Scene("verify", "quit-after-helo", "A client that only greets.", only_connects(greet=True)),
    Scene("verify", "rset-after-helo", "RSET before anything.", does("RSET")),
    Scene(
        "verify",
        "rset-after-mail",
        "RSET after MAIL, then a message.",
        does(MAIL, "RSET", then=[mail()]),
        [NONE],
    ),
    Scene(
        "verify",
        "rset-after-rcpt",
        "RSET after RCPT, twice, then a message.",
        does(MAIL, RCPT, "RSET", MAIL, RCPT, RCPT, "RSET", then=[signed(mail())]),
        [PASS],
    ),
    Scene("verify", "close-after-helo", "The client vanishes after its greeting.", does(end="close")),
    Scene("verify", "close-after-mail", "The client vanishes after MAIL.", does(MAIL, end="close")),
    Scene("verify", "close-after-rcpt", "The client vanishes after RCPT.", does(MAIL, RCPT, end="abort")),
    Scene("verify", "close-after-data", "The client vanishes after DATA.", breaks_off(b"")),
    Scene("verify", "close-in-header", "The client vanishes in the header.", breaks_off(b"From: friend@exa")),
    Scene(
        "verify",
        "close-in-body",
        "The client vanishes in the body, with a reset.",
        breaks_off(mail(body="Hello.\n" * 2000)[:9000], end="abort"),
    ),
    Scene(
        "verify",
        "close-before-verdict",
        "The client vanishes where the verdict is due; Postfix takes the message all the same.",
        leaves_before_the_verdict(signed(mail())),
        [PASS],
    ),
    Scene(
        "verify",
        "several-messages",
        "Four messages on one connection, the second without a signature.",
        sends(signed(mail()), mail(), signed(mail(subject="Another")), signed(mail(body="More.\n"))),
        [PASS, NONE, "message 4"],
    ),
    Scene(
        "verify",
        "helo-twice",
        "A second EHLO between two messages.",
        does("EHLO again.example.org", then=[mail()]),
        [NONE],
    ),
    Scene(
        "verify",
        "unknown-command",
        "Commands that do not exist.",
        does("HURRAY", "XYZZY 1", then=[mail()]),
        [NONE],
    ),
    # -- envelopes
    Scene("verify", "two-recipients", "Two recipients.", sends(mail(), recipients=_recipients(2)), [NONE]),
    Scene(
        "verify",
        "fifty-recipients",
        "Fifty recipients, pipelined.",
        sends(mail(), recipients=_recipients(50), pipelined=True),
        [NONE],
    ),
    Scene(
        "verify",
        "pipelined",
        "MAIL, RCPT and DATA in one write.",
        sends(signed(mail()), pipelined=True),
        [PASS],
    ),
    Scene(
        "verify",
        "refused-recipients",
        "Recipients that Postfix refuses, before and after one that it takes.",
        does(
            MAIL,
            "RCPT TO:<x@elsewhere.example>",
            RCPT,
            "RCPT TO:<y@elsewhere.example>",
            "RSET",
            then=[mail()],
        ),
        [NONE],
    ),
    Scene(
        "verify",
        "all-recipients-refused",
        "No recipient that Postfix takes.",
        does(MAIL, "RCPT TO:<x@elsewhere.example>"),
    ),
    Scene(
        "verify",
        "null-sender",
        "A bounce: the null reverse-path.",
        sends(mail(sender="MAILER-DAEMON@example.org"), sender=""),
        [NONE],
    ),
    Scene(
        "verify", "ipv6-client", "A client with an IPv6 address.", sends(signed(mail()), client=IPV6), [PASS]
    ),
    Scene(
        "verify",
        "nameless-client",
        "A client that the DNS does not know.",
        sends(signed(mail()), client=NAMELESS),
        [PASS],
    ),
    Scene(
        "verify",
        "trusted-client",
        "A client in the trusted networks is not verified.",
        sends(signed(mail()), client=NEIGHBOUR),
        UNTOUCHED,
    ),
    Scene(
        "verify",
        "loopback-client",
        "A client on the host itself, without XCLIENT.",
        sends(mail(), client=None),
        UNTOUCHED,
    ),
    Scene(
        "verify",
        "user",
        "A user who has logged in is not verified, and what is forged under our name goes all the same.",
        sends(
            mail(("Authentication-Results", "mail.example.nl; dkim=pass"), sender=ANNA),
            login=LOGIN,
            sender=ANNA,
            recipients=[FRIEND],
        ),
        ["accept", "!insert", "remove"],
    ),
    # -- messages of every form
    Scene(
        "verify",
        "eight-bit",
        "8BITMIME: a body and a header field that are not ASCII, nor all UTF-8.",
        sends(
            signed(HEAD + "Subject: Grüße\r\n\r\nSchöne Grüße, ".encode() + b"latin-1: gr\xfc\xdfe\r\n"),
            parameters=["BODY=8BITMIME"],
        ),
        [PASS],
    ),
    Scene(
        "verify",
        "smtputf8",
        "SMTPUTF8, with a U-label in From.",
        sends(
            signed(mail(sender="jürgen@müller.example")),
            sender="jürgen@müller.example",
            parameters=["SMTPUTF8"],
        ),
        [PASS],
    ),
    Scene("verify", "large-field", "One header field of 60 kB.", sends(signed(mail(_LARGE_FIELD))), [PASS]),
    Scene(
        "verify",
        "many-fields",
        "1,105 header fields: more than are looked at.",
        sends(mail(*_MANY_FIELDS)),
        ["552 5.3.4"],
    ),
    Scene("verify", "no-body", "A header and an empty body.", sends(_body(b"")), [PASS]),
    Scene("verify", "header-alone", "A header without the empty line behind it.", sends(HEAD), [NONE]),
    Scene("verify", "empty-message", "Nothing at all between DATA and the dot.", sends(b""), [NONE]),
    Scene("verify", "no-header", "A body, and no header.", sends(b"\r\nJust text.\r\n"), [NONE]),
    Scene("verify", "large-body", "A body of 20 MB.", sends(_body(generate(20 * 1024 * 1024, 7))), [PASS]),
    Scene(
        "verify",
        "body-cut-at-crlf",
        "A body cut between CR and LF by Postfix's chunks.",
        sends(_body(_AT_THE_CUT)),
        [PASS],
    ),
    Scene(
        "verify",
        "empty-lines",
        "A body that ends in many empty lines.",
        sends(_body(b"Text.\r\n" + b"\r\n" * 5000)),
        [PASS],
    ),
    Scene("verify", "only-empty-lines", "A body of empty lines.", sends(_body(b"\r\n" * 12)), [PASS]),
    Scene(
        "verify", "dots", "Lines that begin with dots.", sends(_body(b".\r\n..\r\n.a\r\n\r\n.\r\n")), [PASS]
    ),
    Scene(
        "verify",
        "long-lines",
        "Lines of 20,000 characters, in body and header.",
        sends(signed(HEAD + b"Subject: " + b"long " * 4000 + b"\r\n\r\n" + b"0123456789" * 2000 + b"\r\n")),
        [PASS],
    ),
    Scene(
        "verify",
        "folded-fields",
        "Folds and white space of every kind, relaxed.",
        sends(signed(HEAD + _FOLDS + b"x-CASE:odd\r\n\r\nText \t \r\n\r\n")),
        [PASS],
    ),
    Scene(
        "verify",
        "folded-fields-simple",
        "The same, simple: nothing may be lost on the way.",
        sends(
            signed(
                HEAD + _FOLDS + b"\r\nText \t \r\n\r\n",
                canonicalization="simple/simple",
            )
        ),
        [PASS],
    ),
    Scene(
        "verify",
        "bare-cr",
        "CR without LF, in header and body.",
        sends(HEAD + b"Subject: bare \r CR\r\n\r\nbare \r CR\r\r\nand more\r\n"),
        [NONE],
    ),
    Scene(
        "verify",
        "nul",
        "NUL in header and body.",
        sends(HEAD + b"Subject: nul \0 here\r\n\r\nnul \0 here\r\n"),
        [NONE],
    ),
]
