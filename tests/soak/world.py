"""Who sends during a soak: every kind of mail that the daemons tell apart, and what the DNS says of its senders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.harness.accounting.mail import RESULTS, Kind
from tests.harness.accounting.senders import Senders, signed_with
from tests.harness.keys import ed25519_key, rsa_key
from tests.harness.smtp import Client

FORWARDER = Client("198.51.100.7", "mx.forwarder.example", "mx.forwarder.example")
"""A host that no domain's SPF record names."""

_REFUSED = "DMARC policy"
_PASS = ("dmarc=pass",)
_FORGED = (RESULTS, "mail.example.nl; dmarc=pass header.from=forged.example")
_LIST = (("List-Id", "<list.example>"), ("List-Post", "<mailto:post@list.example>"))


class World(Senders):
    """The senders; ``ours`` is the key that our users' mail is to be signed with."""

    def __init__(self, seed: int) -> None:
        self.ours = rsa_key("example.nl")
        super().__init__(
            seed,
            _kinds(self.ours.name, self.ours.record),
            inside=[f"bert{number}@example.nl" for number in range(40)],
            outside=[f"bert{number}@good.example" for number in range(40)],
            keys={"rsa": rsa_key("good.example"), "ed": ed25519_key("good.example")},
            date="Sat, 21 Nov 2026 10:00:00 +0000",
        )

    def zone(self, ttl: int) -> dict[str, list[Mapping[str, object]]]:
        """What the DNS knows of them all; nobody may remember it for longer than *ttl* seconds."""
        texts = {
            "good.example": "v=spf1 ip4:192.0.2.10 -all",
            "_dmarc.good.example": "v=DMARC1; p=reject",
            "lax.example": "v=spf1 ip4:192.0.2.10 -all",
            "_dmarc.lax.example": "v=DMARC1; p=none",
            "warned.example": "v=spf1 ip4:192.0.2.10 -all",
            "_dmarc.warned.example": "v=DMARC1; p=quarantine",
            **{key.name: key.record for key in self.keys.values()},
        }
        return {name: [{"TXT": text}, {"TTL": ttl}] for name, text in texts.items()}


def _kinds(name: str, record: str) -> Sequence[Kind]:
    """The kinds; our users' mail is signed with the key of this *name* and *record*."""
    return [
        Kind("signed", 18, shows=("dkim=pass", *_PASS), sign="rsa"),
        Kind("signed ed25519", 8, shows=("dkim=pass", *_PASS), sign="ed"),
        Kind("by SPF alone", 9, shows=("dkim=none", *_PASS)),
        Kind("forwarded", 8, shows=("dkim=pass", *_PASS), sign="rsa", client=FORWARDER),
        Kind("by a list", 4, shows=("dkim=fail", "dmarc=fail"), sign="rsa", alter=True,
             client=FORWARDER, extra=_LIST),
        Kind("broken", 6, refused=_REFUSED, sign="rsa", alter=True, client=FORWARDER),
        Kind("spoofed", 6, refused=_REFUSED, client=FORWARDER),
        Kind("spoofed, p=none", 4, "lax.example", shows=("dmarc=fail",), client=FORWARDER),
        Kind("spoofed, p=quarantine", 3, "warned.example", shows=("dmarc=fail",),
             adds="X-DMARC-Quarantine", client=FORWARDER),
        Kind("without any", 6, "plain.example", shows=("dkim=none", "dmarc=none")),
        Kind("forged results", 4, "plain.example", shows=("dmarc=none",), hides=("forged.example",),
             extra=(_FORGED,)),
        Kind("bounce", 3, "plain.example", shows=("dmarc=none",), null_sender=True),
        Kind("many recipients", 2, shows=_PASS, sign="rsa", recipients=40),
        Kind("big", 2, shows=_PASS, sign="rsa", size=2_000_000),
        Kind("newcomer", 5, shows=_PASS, fresh=True),
        Kind("submitted", 12, "example.nl", user=True, check=signed_with({name: record})),
    ]  # fmt: skip
