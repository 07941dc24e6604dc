"""The stops of the tour. Each is data: a mail, who sends it, and what should be seen of it.

A new daemon brings new stops, and perhaps a new way to look at an outcome.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate, make_msgid

from script.tour.world import AUTHSERV_ID, GREYLIST_DELAY, THEIR_DOMAIN, Outcome, World
from tests.harness import smtp
from tests.harness.delivery import compose
from tests.harness.keys import passes
from tests.harness.smtp import Client

EVIL = "x@evil.example"
STRANGER, ANNA, BERT = "friend@example.org", "anna@example.nl", "bert@example.nl"
NEWCOMER = Client("198.51.100.7", "mx.newcomer.example", "mx.newcomer.example")
NOBODY = Client("203.0.113.66", "", "mail.evil.example")

_RESULT = re.compile(r"\bdkim\s*=\s*([a-z]+)")
_DMARC_RESULT = re.compile(r"(?<![.\w])dmarc=([a-z]+)")
_SPF_RESULT = re.compile(r"(?<![.\w])spf=([a-z]+)[^;]* smtp\.mailfrom=")
_ALGORITHM = re.compile(r"(?:^|;)\s*a\s*=\s*([a-z0-9-]+)")


@dataclass(frozen=True)
class Stop:
    """One mail on the tour.

    ``mail`` makes its octets. It goes from ``sender`` to ``recipient``; where
    ``submitted``, by our user anna who has logged in. ``look`` puts in a few
    words what became of it; ``expected`` is what it should say. ``meaning`` is
    that verdict for people. ``client`` brings it, where it comes from the world. A
    stop for a policy service is left out with other milters in gatepost's place.
    """

    title: str
    story: str
    mail: Callable[[World], bytes]
    look: Callable[[World, Outcome], str]
    expected: str
    meaning: str
    sender: str = STRANGER
    recipient: str = BERT
    submitted: bool = False
    client: Client = smtp.STRANGER
    policy: bool = False

    def visit(self, world: World) -> Outcome:
        """Send the mail, and see what becomes of it."""
        octets = self.mail(world)
        if self.submitted:
            return world.submit(octets, self.sender, self.recipient)
        return world.receive(octets, self.sender, self.recipient, self.client)


def dkim_results(world: World, outcome: Outcome) -> str:
    """The DKIM results in all fields that claim to be ours, as in "dkim pass"."""
    if outcome.delivery is None:
        return _undelivered(outcome)
    fields = [
        value
        for value in outcome.delivery.values("Authentication-Results")
        if value.lower().startswith(AUTHSERV_ID)
    ]
    results = [result for value in fields for result in _RESULT.findall(value)]
    return f"dkim {' '.join(results)}" if results else "no result"


def dmarc_result(world: World, outcome: Outcome) -> str:
    """The DMARC result in our own fields, as in "dmarc pass"."""
    if outcome.delivery is None:
        return _undelivered(outcome)
    fields = " ".join(outcome.delivery.values("Authentication-Results"))
    return f"dmarc {' '.join(_DMARC_RESULT.findall(fields))}"


def spf_result(world: World, outcome: Outcome) -> str:
    """The SPF result of MAIL FROM in our own field, as in "spf pass"."""
    if outcome.delivery is None:
        return _undelivered(outcome)
    fields = " ".join(outcome.delivery.values("Authentication-Results"))
    return f"spf {' '.join(_SPF_RESULT.findall(fields))}"


def greylisting(world: World, outcome: Outcome) -> str:
    """Whether it had to come again, and arrived then with a field that says so."""
    if outcome.delivery is None:
        return _undelivered(outcome)
    if outcome.put_off is None:
        return "delivered at once"
    told = "" if outcome.delivery.values("X-Greylist") else " without X-Greylist"
    return f"put off {outcome.put_off.code}, then delivered{told}"


def signatures(world: World, outcome: Outcome) -> str:
    """The signatures that the mail went out with, as dkimpy judges them at the other end."""
    if outcome.delivery is None:
        return _undelivered(outcome)
    algorithms = [
        found[1] if (found := _ALGORITHM.search(value)) else "?"
        for value in outcome.delivery.values("DKIM-Signature")
    ]
    held = passes(outcome.delivery.octets, world.records)
    seen = sorted(
        f"{algorithm} {'holds' if holds else 'broken'}"
        for algorithm, holds in zip(algorithms, held, strict=True)
    )
    return ", ".join(seen) or "unsigned"


def _undelivered(outcome: Outcome) -> str:
    if outcome.held:
        return "held"
    return "not delivered" if outcome.reply.positive else f"refused {outcome.reply.code}"


def _mail(sender: str, recipient: str, subject: str, *extra: tuple[str, str]) -> bytes:
    return compose(
        [
            *extra,
            ("From", sender),
            ("To", recipient),
            ("Subject", subject),
            ("Date", formatdate()),
            ("Message-ID", make_msgid(domain=sender.rpartition("@")[2])),
        ],
        f"Hello,\n\n{subject}.\n\n-- \n{sender}\n",
    )


def _from_stranger(subject: str, *extra: tuple[str, str]) -> bytes:
    return _mail(STRANGER, BERT, subject, *extra)


def _altered(world: World) -> bytes:
    signed = world.theirs[0].sign(_from_stranger("Pay 10 euro to me"))
    return signed.replace(b"\r\n\r\nHello,\r\n\r\nPay 10 euro", b"\r\n\r\nHello,\r\n\r\nPay 9999 euro")


_FORGED = (
    "Authentication-Results",
    f"{AUTHSERV_ID}; dkim=pass header.d=bank.example header.s=mail header.b=Zm9yZ2Vk",
)

_LIST_POST = ("List-Post", "<mailto:list@lists.example>")

STOPS: tuple[Stop, ...] = (
    Stop(
        title="Out: signed with RSA and Ed25519",
        story="Anna logs in and writes to a friend at example.org; her domain has two keys.",
        mail=lambda world: _mail(ANNA, STRANGER, "Lunch on Friday"),
        look=signatures,
        expected="ed25519-sha256 holds, rsa-sha256 holds",
        meaning="Both signatures hold at the other end, by an independent verifier.",
        sender=ANNA,
        recipient=STRANGER,
        submitted=True,
    ),
    Stop(
        title="Out: a domain that we have no key for",
        story="Anna logs in and writes under a From address of somebody else's domain.",
        mail=lambda world: _mail("anna@example.net", STRANGER, "Written elsewhere"),
        look=signatures,
        expected="unsigned",
        meaning="It goes out as it came: we sign for our own domains alone.",
        sender=ANNA,
        recipient=STRANGER,
        submitted=True,
    ),
    Stop(
        title="In: signed by its domain",
        story="A server of example.org sends a mail with a good RSA signature.",
        mail=lambda world: world.theirs[0].sign(_from_stranger("Lunch on Friday is fine")),
        look=dkim_results,
        expected="dkim pass",
        meaning=f"The signature holds: the mail is what {THEIR_DOMAIN} sent.",
    ),
    Stop(
        title="In: signed with Ed25519",
        story="The same, with the short modern kind of key (RFC 8463).",
        mail=lambda world: world.theirs[1].sign(_from_stranger("A small signature")),
        look=dkim_results,
        expected="dkim pass",
        meaning=f"The signature holds: the mail is what {THEIR_DOMAIN} sent.",
    ),
    Stop(
        title="In: body altered on the way",
        story="Somebody has changed the sum in a signed mail.",
        mail=_altered,
        look=dkim_results,
        expected="dkim fail",
        meaning="The signature does not fit this text: somebody has changed it.",
    ),
    Stop(
        title="In: no signature",
        story="An ordinary mail that nobody has signed.",
        mail=lambda world: _from_stranger("Just a note"),
        look=dkim_results,
        expected="dkim none",
        meaning="Nobody vouches for it, and the field says so.",
    ),
    Stop(
        title="In: forged Authentication-Results",
        story="An unsigned mail brings its own result, under our server's name, saying that all is well.",
        mail=lambda world: _from_stranger("Your bank account", _FORGED),
        look=dkim_results,
        expected="dkim none",
        meaning="The forged field is gone; what is left is our own.",
    ),
    Stop(
        title="In: signed with rsa-sha1",
        story="The signature is sound, but made with the hash that RFC 8301 has retired.",
        mail=lambda world: world.theirs[0].sign(_from_stranger("Greetings from 2007"), sha1=True),
        look=dkim_results,
        expected="dkim policy",
        meaning="It is not worth a pass any more: SHA-1 is broken.",
    ),
    Stop(
        title="In: DMARC, an aligned pass",
        story="Another server brings it, under an envelope of its own; but the author's domain has signed it.",
        mail=lambda world: world.theirs[0].sign(_from_stranger("Signed by the author's own domain")),
        look=dmarc_result,
        expected="dmarc pass",
        meaning=f"The author's domain itself vouches for it: it is from {THEIR_DOMAIN}.",
        sender=EVIL,
    ),
    Stop(
        title="In: DMARC, a spoofed author",
        story="A stranger's server sends a mail in the name of bank.example, which publishes p=reject.",
        mail=lambda world: _mail("ceo@bank.example", BERT, "Pay this today"),
        look=dmarc_result,
        expected="refused 550",
        meaning="Refused while the stranger is still there: no bounce, and Bert never sees it.",
        sender=EVIL,
    ),
    Stop(
        title="In: DMARC, a subdomain made up",
        story="In the name of invoices.bank.example, which does not exist; bank.example publishes np=reject.",
        mail=lambda world: _mail("mail@invoices.bank.example", BERT, "Your invoice"),
        look=dmarc_result,
        expected="refused 550",
        meaning="RFC 9989 has a policy for names that do not exist; sp=none is for those that do.",
        sender=EVIL,
    ),
    Stop(
        title="In: DMARC, p=reject through a mailing list",
        story="A member of bank.example wrote to a list, whose footer has broken the signature.",
        mail=lambda world: _mail(
            "carl@bank.example", BERT, "[list] Minutes", ("List-Id", "<l.lists.example>"), _LIST_POST
        ),
        look=dmarc_result,
        expected="held",
        meaning="Lists break honest mail: it waits in the hold queue for a look, and is not refused.",
        sender=EVIL,
    ),
    Stop(
        title="In: DMARC, p=quarantine",
        story="In the name of shop.example, which asks for such mail to be set aside.",
        mail=lambda world: _mail("sales@shop.example", BERT, "Only today"),
        look=dmarc_result,
        expected="held",
        meaning="It waits in Postfix's hold queue (postqueue -p), and nobody is bothered.",
        sender=EVIL,
    ),
    Stop(
        title="In: SPF, a server that may",
        story=f"A server of {THEIR_DOMAIN} brings a mail; the domain's SPF record names its address.",
        mail=lambda world: _from_stranger("From the right server"),
        look=spf_result,
        expected="spf pass",
        meaning="The policy service's field has come through the content filter, and its seal is off.",
        policy=True,
    ),
    Stop(
        title="In: SPF, a server that may not",
        story="Somebody's server writes as info@bank.example, whose record ends in -all.",
        mail=lambda world: _mail("info@bank.example", BERT, "Your account"),
        look=spf_result,
        expected="refused 550",
        meaning="Refused at RCPT, before any of the message was sent.",
        sender="info@bank.example",
        client=NOBODY,
        policy=True,
    ),
    Stop(
        title="In: greylisting, a first contact",
        story=f"A server that has never been seen here. It is asked to come again, here in {GREYLIST_DELAY} s.",
        mail=lambda world: _mail("carla@newcomer.example", BERT, "Nice to meet you"),
        look=greylisting,
        expected="put off 450, then delivered",
        meaning="It came again as mail servers do, and X-Greylist tells how long that took.",
        sender="carla@newcomer.example",
        client=NEWCOMER,
        policy=True,
    ),
)
