"""Scenes about signing: who is signed, with what, and why others are not."""

from __future__ import annotations

from tests.sessions.mails import ANNA, BERT, FRIEND, SIGNED, crafted, mail
from tests.sessions.scene import NEIGHBOUR, Scene, sends, submits
from tests.sessions.zone import OURS_RSA, RSA

OURS = mail(sender=ANNA, recipient=FRIEND)
RSA_SHA256, ED25519 = "a=rsa-sha256", "a=ed25519-sha256"
UNSIGNED = ["accept", "!insert"]
_MANY_FIELDS = tuple((f"X-Field-{number}", "something") for number in range(1100))

SCENES = [
    Scene("sign", "user", "A user who has logged in.", submits(OURS), [RSA_SHA256, "d=example.nl"]),
    Scene(
        "sign",
        "several-messages",
        "A user's three messages on one connection, the second from a domain without a key.",
        submits(OURS, mail(sender=FRIEND), mail(sender=ANNA, subject="Another")),
        ["message 3", RSA_SHA256],
    ),
    Scene(
        "sign",
        "trusted-network",
        "A client in the trusted networks.",
        sends(OURS, client=NEIGHBOUR, sender=ANNA, recipients=[FRIEND]),
        [RSA_SHA256],
    ),
    Scene(
        "sign",
        "loopback",
        "A program on the host itself.",
        sends(OURS, client=None, sender=ANNA, recipients=[FRIEND]),
        [RSA_SHA256],
    ),
    Scene(
        "sign",
        "outsider",
        "Unsigned: a stranger who writes as one of us.",
        sends(OURS, sender=ANNA),
        UNSIGNED,
    ),
    Scene(
        "sign",
        "no-key",
        "Unsigned: the sender's domain has no key.",
        submits(mail(sender=FRIEND)),
        UNSIGNED,
    ),
    Scene(
        "sign",
        "subdomain",
        "Unsigned: a subdomain has no key.",
        submits(mail(sender="anna@sub.example.nl")),
        UNSIGNED,
    ),
    Scene("sign", "no-from", "Unsigned: no From.", submits(mail(without=("From",))), UNSIGNED),
    Scene(
        "sign",
        "bad-from",
        "Unsigned: a From that is no address.",
        submits(mail(sender="Anna <anna@>")),
        UNSIGNED,
    ),
    Scene(
        "sign",
        "two-from",
        "Unsigned: two From fields.",
        submits(mail(("From", "boss@example.nl"), sender=ANNA)),
        UNSIGNED,
    ),
    Scene(
        "sign",
        "display-name",
        "A From with a display name, comments and folds.",
        submits(mail(sender='"Anna, of the =?utf-8?q?K=C3=BCche?=" (she\n said)\n\t<anna@example.nl>')),
        [RSA_SHA256],
    ),
    Scene(
        "sign",
        "too-many-fields",
        "1,105 header fields: cannot be signed now.",
        submits(mail(*_MANY_FIELDS, sender=ANNA)),
        ["451 4.7.5"],
    ),
    Scene(
        "sign", "no-body", "A header and an empty body.", submits(mail(sender=ANNA, body="")), ["bh=47DEQpj8"]
    ),
    Scene(
        "sign",
        "list-headers",
        "List fields, Received and Return-Path are not signed; a repeated To is.",
        submits(mail(("List-Id", "<x>"), ("Received", "by x"), ("To", "other@example.org"), sender=ANNA)),
        [RSA_SHA256],
    ),
    Scene(
        "sign",
        "existing",
        "A message with somebody else's signature gets ours too.",
        submits(crafted(mail(sender=ANNA), RSA)),
        [RSA_SHA256],
    ),
    Scene(
        "sign-both",
        "both",
        "RSA and Ed25519, with i=, x= and an Authentication-Results field.",
        submits(OURS),
        [RSA_SHA256, ED25519, "i=@example.nl", "x=", "mail.example.nl"],
    ),
    Scene(
        "sign-both",
        "old-signatures",
        "remove_old_signatures: three go, two are made.",
        submits(crafted(crafted(crafted(mail(sender=ANNA), RSA), RSA), OURS_RSA, h=SIGNED)),
        ['remove "dkim-signature" 1', 'remove "dkim-signature" 3', RSA_SHA256, ED25519],
    ),
    Scene(
        "sign-both",
        "smtputf8",
        "A From with U-labels: d= has the A-labels.",
        sends(
            mail(sender="jürgen@müller.example", recipient=FRIEND),
            client=NEIGHBOUR,
            sender="jürgen@müller.example",
            recipients=[FRIEND],
            parameters=["SMTPUTF8"],
        ),
        ["d=xn--mller-kva.example"],
    ),
    Scene(
        "sign-both",
        "trusted-network",
        "A client in the trusted networks, eight bits and all.",
        sends(
            mail(("X-Greeting", "Grüße"), sender=ANNA, body="Schöne Grüße\n"),
            client=NEIGHBOUR,
            sender=ANNA,
            recipients=[FRIEND],
            parameters=["BODY=8BITMIME"],
        ),
        [RSA_SHA256, ED25519],
    ),
    Scene(
        "sign-picky",
        "daemon-name",
        "A stranger at the port that is called ORIGINATING; simple/simple.",
        sends(mail(sender=ANNA, recipient=ANNA), sender=ANNA, recipients=[ANNA]),
        [ED25519, "c=simple/simple"],
    ),
    Scene(
        "sign-picky",
        "other-daemon-name",
        "Unsigned: the same at a port of another name.",
        sends(mail(sender=ANNA, recipient=ANNA), sender=ANNA, recipients=[ANNA], service="plain-sign-picky"),
        UNSIGNED,
    ),
    Scene(
        "sign-picky",
        "already-signed",
        "Unsigned: the domain has signed it (existing_signature: skip).",
        submits(crafted(OURS, OURS_RSA)),
        UNSIGNED,
    ),
    Scene(
        "sign-picky",
        "signed-by-another",
        "Signed: the signature it bears is another domain's.",
        submits(crafted(OURS, RSA)),
        [ED25519],
    ),
    Scene(
        "sign-picky",
        "never-sign-to",
        "Unsigned: goes only to never_sign_to.",
        submits(OURS, recipients=[BERT]),
        UNSIGNED,
    ),
    Scene(
        "sign-picky",
        "never-sign-to-some",
        "Signed: one of the recipients is not in never_sign_to.",
        submits(OURS, recipients=[BERT, "all@lists.example.org", FRIEND]),
        [ED25519],
    ),
    Scene(
        "sign-picky",
        "sender-field",
        "From has no key, Sender has.",
        submits(mail(("Sender", ANNA), sender=FRIEND)),
        [ED25519, "d=example.nl"],
    ),
    Scene(
        "sign-picky",
        "white-space",
        "Simple signing of folds and white space.",
        submits(
            mail(
                ("X-Folded", "a\n  b\n\tc  "),
                ("Cc", "  x@example.org ,\n\ty@example.org"),
                sender=ANNA,
                body="a  b \n\n\n",
            )
        ),
        [ED25519],
    ),
]
