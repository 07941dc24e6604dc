"""The DNS of the recorded sessions: writes zone.yaml, from the keys next to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.harness.keys import KeyPair
from tests.sessions.daemons import HERE


def key(domain: str, kind: str, selector: str) -> KeyPair:
    """The key of *domain* in keys/, *kind* rsa or ed25519, under *selector*."""
    private = load_pem_private_key((HERE / "keys" / f"{domain}-{kind}.pem").read_bytes(), None)
    assert isinstance(private, RSAPrivateKey | Ed25519PrivateKey)
    return KeyPair(domain, selector, private)


RSA = key("example.org", "rsa", "mail")
ED25519 = key("example.org", "ed25519", "ed")
OURS_RSA = key("example.nl", "rsa", "mail")
OURS_ED25519 = key("example.nl", "ed25519", "ed")


def zone() -> Mapping[str, Sequence[object]]:
    """What there is: the public keys, and records that are wrong in one way each."""
    tags = RSA.record.removeprefix("v=DKIM1; ")
    return {
        **{each.name: [{"TXT": each.record}] for each in (RSA, ED25519, OURS_RSA, OURS_ED25519)},
        "revoked._domainkey.example.org": [{"TXT": "v=DKIM1; k=rsa; p="}],
        "testing._domainkey.example.org": [{"TXT": f"v=DKIM1; t=y; {tags}"}],
        "strict._domainkey.example.org": [{"TXT": f"v=DKIM1; t=s; {tags}"}],
        "garbage._domainkey.example.org": [{"TXT": "v=DKIM1; k=rsa; p=this is no key"}],
        "twice._domainkey.example.org": [{"TXT": RSA.record}, {"TXT": ED25519.record}],
        "alias._domainkey.example.org": [{"CNAME": RSA.name}],
        "broken._domainkey.example.org": ["SERVFAIL"],
        "slow._domainkey.example.org": ["TIMEOUT"],
        "mail._domainkey.xn--mller-kva.example": [{"TXT": RSA.record}],
        # SPF and DMARC
        "example.org": [{"TXT": "v=spf1 ip4:192.0.2.10 ip6:2001:db8::25 -all"}],
        "mx.example.org": [{"TXT": "v=spf1 ip4:192.0.2.10 -all"}],
        "_dmarc.example.org": [{"TXT": "v=DMARC1; p=reject"}],
        "_dmarc.bank.example": [{"TXT": "v=DMARC1; p=reject; rua=mailto:dmarc@bank.example"}],
        "_dmarc.shop.example": [{"TXT": "v=DMARC1; p=quarantine"}],
        "_dmarc.none.example": [{"TXT": "v=DMARC1; p=none"}],
        "_dmarc.parent.example": [{"TXT": "v=DMARC1; p=none; np=reject"}],
        "_dmarc.testing.example": [{"TXT": "v=DMARC1; p=reject; t=y"}],
        "_dmarc.broken.example": ["SERVFAIL"],
        "_dmarc.xn--mller-kva.example": [{"TXT": "v=DMARC1; p=reject"}],
    }


def write() -> None:
    """Write zone.yaml."""
    text = yaml.safe_dump(zone(), sort_keys=False, width=110)
    (HERE / "zone.yaml").write_text(
        f"# Written by script/record-sessions. Anything else does not exist.\n{text}"
    )
