"""DMARC records (``gatepost.dmarc.record``), and the words about them (``gatepost.dmarc.tags``).

- Nothing is raised, by either, in either reading of the standard.
- Only what begins with v=DMARC1 is a record, and it has a policy, a percentage and URIs that are each what they should.
- White space around the list makes no difference, and the words speak of the same record.
"""

from __future__ import annotations

from gatepost.dmarc.record import MAX_RECORD, Policy, parse_record
from gatepost.dmarc.tags import explain

SEEDS = (
    b"v=DMARC1; p=reject; sp=quarantine; np=none; adkim=s; aspf=r; t=y; psd=n",
    b"v=DMARC1; p=none; rua=mailto:a@example.nl!10m,https://example.nl/x; ruf=mailto:b@example.nl; fo=1:d:s; pct=50",
    b"v=DMARC1",
    b"v = DMARC1 ; rua=mailto:a@example.nl",
    b"v=DMARC1; p=bad; p=none",
    b"v=DMARC1; sp; =x; 1=2; ri=3600; rf=afrf",
    b"v=DMARC2; p=none",
    b"v=spf1 -all",
)
WORDS = (
    b"; p=", b"; sp=", b"; np=", b"; rua=", b"; ruf=", b"; fo=", b"; pct=100", b"; psd=y", b"; t=y", b"mailto:",
    b"reject", b"quarantine", b"none", b"!", b",",
)  # fmt: skip


def check(data: bytes) -> None:
    record = parse_record(data)
    for historic in (False, True):
        text = explain(data, historic=historic)
        assert text.record == record
        assert (record is None) or not text.problem
        assert all(tag.name == tag.name.lower() for tag in text.tags)
    if len(data) + 2 <= MAX_RECORD:
        assert parse_record(b" " + data + b"\t") == record
    assert parse_record(data + b" " * MAX_RECORD + b" ") is None
    if record is None:
        return
    assert len(data) <= MAX_RECORD
    assert data.lstrip(b" \t")[:1] in (b"v", b"V")
    assert b"DMARC1" in data
    assert record.policy is not None
    assert {record.policy, record.subdomain_policy, record.nonexistent_policy} <= {None, *Policy}
    assert 0 <= record.percent <= 999
    assert record.psd in ("y", "n", "u")
    assert record.usable or not record.aggregate_uris
    for uri in (*record.aggregate_uris, *record.failure_uris):
        assert ":" in uri
        assert not set(uri) & set(" \t\r\n,!;")
