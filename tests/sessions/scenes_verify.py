"""Scenes about verification: signatures of every kind, and results that somebody else wrote under our name."""

from __future__ import annotations

from tests.sessions.daemons import NOW
from tests.sessions.mails import SIGNED, crafted, mail, signed
from tests.sessions.scene import IPV6, Scene, sends, through_the_filter
from tests.sessions.zone import ED25519

PASS, FAIL, NONE = "dkim=pass", "dkim=fail", "dkim=none"


def _altered(octets: bytes, old: bytes, new: bytes) -> bytes:
    assert octets.count(old) == 1
    return octets.replace(old, new)


def _forged(*values: str, name: str = "Authentication-Results") -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for value in values)


def _times(count: int, octets: bytes) -> bytes:
    """The mail with that many sound signatures."""
    for number in range(count):
        octets = crafted(octets, ED25519, i=f"@sub{number}.example.org")
    return octets


_CLAIM = "dkim=pass header.d=bank.example"
_DISGUISES = (
    f"mail.example.nl; {_CLAIM}",
    f"MAIL.Example.NL; {_CLAIM}",
    f"mail.example.nl.; {_CLAIM}",
    f"(the best) mail.example.nl (really) ; {_CLAIM}",
    f'"mail.example.nl"; {_CLAIM}',
    f"mail.example.nl 1; {_CLAIM}",
    f"\n mail.example.nl\n\t;{_CLAIM}",
    f"mx.example.nl; {_CLAIM}",
    f"mail.example.nl;{_CLAIM} (gatepost-seal v1 t={NOW} m=AAAAAAAAAAAAAAAAAAAAAA)",
    f"mail.example.nl; {'x' * 5000}",
    "mail.example.nl",
    "",
    "; dkim=pass",
)
_STRANGERS = (
    f"other.example.com; {_CLAIM}",
    "mail.example.nl.example.com; spf=pass",
    "(mail.example.nl) other; none",
)
_SEVERAL_FROM = _altered(signed(mail()), b"From: friend", b"From: boss@bank.example\r\nFrom: friend")

_KINDS = [
    ("rsa", "A valid RSA signature, relaxed/relaxed.", signed(mail()), PASS),
    ("rsa-simple", "The same, simple/simple.", signed(mail(), canonicalization="simple/simple"), PASS),
    (
        "rsa-relaxed-simple",
        "The same, relaxed/simple.",
        signed(mail(), canonicalization="relaxed/simple"),
        PASS,
    ),
    (
        "rsa-simple-relaxed",
        "The same, simple/relaxed.",
        signed(mail(), canonicalization="simple/relaxed"),
        PASS,
    ),
    ("ed25519", "A valid Ed25519 signature.", signed(mail(), ED25519), PASS),
    ("both", "An RSA and an Ed25519 signature, both valid.", signed(signed(mail()), ED25519), "s=ed"),
    ("body-altered", "The body was altered.", _altered(signed(mail()), b"Hello.", b"Hello!"), FAIL),
    (
        "header-altered",
        "A signed header field was altered.",
        _altered(signed(mail()), b"A word", b"Another word"),
        FAIL,
    ),
    ("expired", "x= is past.", crafted(mail(), t=str(NOW - 9000), x=str(NOW - 4000)), FAIL),
    ("from-the-future", "t= is in the future.", crafted(mail(), t=str(NOW + 9000)), "dkim=neutral"),
    ("length", "l= covers the whole body.", crafted(mail(), l="8"), PASS),
    (
        "length-and-more",
        "l= leaves a part of the body unsigned.",
        crafted(mail(body="Hello.\nBuy here!\n"), l="8"),
        "dkim=policy",
    ),
    ("rsa-sha1", "rsa-sha1, which never passes.", signed(mail(), sha1=True), "dkim=policy"),
    ("revoked-key", "The key is revoked.", crafted(mail(), s="revoked"), "dkim=permerror"),
    ("no-key", "There is no such key.", crafted(mail(), s="nowhere"), "dkim=permerror"),
    ("garbage-key", "The key record is no key.", crafted(mail(), s="garbage"), "dkim=permerror"),
    ("two-keys", "Two key records under one name.", crafted(mail(), s="twice"), "dkim=permerror"),
    ("key-by-alias", "The key's name is a CNAME.", crafted(mail(), s="alias"), PASS),
    ("servfail", "The key's server fails.", crafted(mail(), s="broken"), "dkim=temperror"),
    ("timeout", "The key's server says nothing.", crafted(mail(), s="slow"), "dkim=temperror"),
    (
        "testing-key",
        "A key in testing, on an altered message.",
        _altered(crafted(mail(), s="testing"), b"Hello.", b"Hello!"),
        FAIL,
    ),
    (
        "strict-key",
        "t=s, with an i= below d=.",
        crafted(mail(), s="strict", i="@sub.example.org"),
        "dkim=permerror",
    ),
    ("identity", "i= below d=.", crafted(mail(), i="friend@sub.example.org"), PASS),
    ("identity-elsewhere", "i= outside d=.", crafted(mail(), i="@example.com"), "dkim=permerror"),
    ("public-suffix", "d= is a public suffix.", crafted(mail(), d="org"), "dkim=policy"),
    ("from-unsigned", "h= without From.", crafted(mail(), h="to:subject:date"), "dkim=permerror"),
    (
        "u-labels",
        "d= in U-labels.",
        crafted(mail(sender="jo@müller.example"), d="müller.example", s="mail"),
        PASS,
    ),
    (
        "malformed",
        "Fields that are no signatures, and one that is.",
        signed(
            mail(
                ("DKIM-Signature", "hello"),
                ("DKIM-Signature", "v=1; v=1"),
                ("DKIM-Signature", "v=2; a=rsa-sha256"),
                ("DKIM-Signature", ""),
            )
        ),
        PASS,
    ),
    (
        "several",
        "Three signatures: one broken, one from another domain, one good.",
        signed(crafted(crafted(mail(), b="AAAA"), d="example.com")),
        PASS,
    ),
    ("twelve", "Twelve signatures: ten are looked at.", _times(12, mail()), PASS),
    ("two-from", "A second From above the signed one.", _SEVERAL_FROM, FAIL),
    ("oversigned", "From signed once more than it occurs.", crafted(mail(), h=f"from:from:{SIGNED}"), PASS),
]

SCENES = [
    Scene("verify", f"dkim-{name}", purpose, sends(octets), [result])
    for name, purpose, octets, result in _KINDS
]

SCENES += [
    # -- results under our name
    Scene(
        "verify",
        "forged-results",
        "A field under our name.",
        sends(signed(mail(*_forged(_DISGUISES[0])))),
        ["remove", PASS],
    ),
    Scene(
        "verify",
        "forged-in-disguise",
        "Our name in every disguise, and the fields of others, which stay.",
        sends(
            mail(
                *_forged(*_DISGUISES),
                *_forged(*_STRANGERS),
                *_forged(_DISGUISES[0], name="authentication-RESULTS"),
            )
        ),
        ["remove", NONE],
    ),
    Scene(
        "verify",
        "forged-with-strangers-between",
        "Fields of others between the forged ones: the right ones go.",
        sends(
            mail(
                *_forged(_STRANGERS[0], _DISGUISES[0], _STRANGERS[1], _DISGUISES[1], _STRANGERS[2]),
                ("X-Between", "yes"),
                *_forged(_DISGUISES[2]),
            ),
            client=IPV6,
        ),
        [
            'remove "authentication-results" 2',
            'remove "authentication-results" 4',
            'remove "authentication-results" 6',
        ],
    ),
    # -- back from a content filter
    Scene(
        "verify-inside",
        "sealed",
        "Verified at the border, and back from the filter: believed, and the seal taken off.",
        through_the_filter(signed(mail())),
        ["replace", PASS],
    ),
    Scene(
        "verify-inside",
        "sealed-and-forged",
        "The same with forged fields, which went at the border.",
        through_the_filter(signed(mail(*_forged(*_DISGUISES[:3])))),
        ["replace", PASS],
    ),
    Scene(
        "verify-inside",
        "sealed-none",
        "An unsigned message back from the filter.",
        through_the_filter(mail()),
        ["replace", NONE],
    ),
    Scene(
        "verify-inside",
        "unsealed",
        "A field under our name, from the host itself, without a seal.",
        sends(mail(*_forged(_DISGUISES[0], _STRANGERS[0])), client=None),
        ["remove"],
    ),
    Scene(
        "verify-inside",
        "last-at-the-border",
        "The last verifier at the border.",
        sends(signed(mail(*_forged(_DISGUISES[0])))),
        ["remove", PASS],
    ),
    # -- what the operator makes of results
    Scene("verify-strict", "pass", "A valid signature.", sends(signed(mail())), ["accept", PASS]),
    Scene(
        "verify-strict",
        "fail",
        "on_fail: reject, with a good message after it.",
        sends(_altered(signed(mail()), b"Hello.", b"Hello!"), signed(mail())),
        ["550 5.7.20", PASS],
    ),
    Scene("verify-strict", "unsigned", "on_no_signature: quarantine.", sends(mail()), ["quarantine", NONE]),
    Scene(
        "verify-strict",
        "no-key",
        "on_key_not_found: discard.",
        sends(crafted(mail(), s="nowhere")),
        ["discard"],
    ),
    Scene(
        "verify-strict",
        "temperror",
        "on_temperror: tempfail.",
        sends(crafted(mail(), s="broken")),
        ["451 4.7.20"],
    ),
    Scene(
        "verify-strict",
        "malformed",
        "on_permerror: reject.",
        sends(mail(("DKIM-Signature", "hello"))),
        ["550 5.7.20"],
    ),
    Scene(
        "verify-strict", "rsa-sha1", "on_security: reject.", sends(signed(mail(), sha1=True)), ["550 5.7.21"]
    ),
    Scene("verify-strict", "two-from", "required_headers: reject.", sends(_SEVERAL_FROM), ["550 5.6.0"]),
    Scene(
        "verify-strict",
        "testing-key",
        "Nothing is done on the word of a key in testing.",
        sends(_altered(crafted(mail(), s="testing"), b"Hello.", b"Hello!")),
        ["accept", FAIL],
    ),
]
