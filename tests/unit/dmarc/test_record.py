"""The DMARC Policy Record, clause by clause (§4.7, §4.8, §4.10.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.dmarc.record import Policy, Record, parse_record

RUA = ("mailto:d@example.org",)


@pytest.mark.parametrize(
    ("text", "record"),
    [
        ("v=DMARC1; p=none", Record(Policy.NONE)),
        ("v=DMARC1;p=quarantine;", Record(Policy.QUARANTINE)),
        (
            "V = DMARC1 ; P = Reject ;\tSP=none; np=QUARANTINE",
            Record(Policy.REJECT, Policy.NONE, Policy.QUARANTINE),
        ),
        ("v=DMARC1; p=reject; t=y", Record(Policy.REJECT, testing=True)),
        ("v=DMARC1; p=reject; t=x", Record(Policy.REJECT)),
        ("v=DMARC1; p=reject; psd=y", Record(Policy.REJECT, psd="y")),
        ("v=DMARC1; p=reject; psd=N", Record(Policy.REJECT, psd="n")),
        ("v=DMARC1; p=reject; psd=maybe", Record(Policy.REJECT)),
        ("v=DMARC1; p=reject; adkim=s; aspf=S", Record(Policy.REJECT, strict_dkim=True, strict_spf=True)),
        ("v=DMARC1; p=reject; adkim=r; aspf=?", Record(Policy.REJECT)),
        ("v=DMARC1; p=none; fo=1:d:s", Record(Policy.NONE, failure_options="1:d:s")),
        ("v=DMARC1; p=none; fo=x", Record(Policy.NONE)),
        ("v=DMARC1; p=none; rua=mailto:d@example.org", Record(Policy.NONE, aggregate_uris=RUA)),
        ("v=DMARC1; p=none; rua= mailto:d@example.org!10m , bogus", Record(Policy.NONE, aggregate_uris=RUA)),
        ("v=DMARC1; p=none; ruf=mailto:d@example.org", Record(Policy.NONE, failure_uris=RUA)),
        ("v=DMARC1; p=reject; unknown=x; rf=afrf; ri=3600", Record(Policy.REJECT)),
        ("v=DMARC1; p=reject; pct=20", Record(Policy.REJECT, percent=20)),
        ("v=DMARC1; p=reject; pct=-1", Record(Policy.REJECT)),
        ("v=DMARC1; p=reject; pct=9999", Record(Policy.REJECT)),
        ("v=DMARC1; p=reject; stray word", Record(Policy.REJECT)),
        # §4.8: no name of the grammar, so no tag that is known
        ("v=DMARC1; p=reject; x-y=1", Record(Policy.REJECT)),
        ("v=DMARC1; p=reject; 2nd=1; a b=c", Record(Policy.REJECT)),
        # §4.10.1: no sound policy, but somebody wants reports
        ("v=DMARC1; rua=mailto:d@example.org", Record(Policy.NONE, aggregate_uris=RUA)),
        ("v=DMARC1; p=bad; rua=mailto:d@example.org", Record(Policy.NONE, aggregate_uris=RUA)),
        ("v=DMARC1; p=reject; sp=bad; rua=mailto:d@example.org", Record(Policy.NONE, aggregate_uris=RUA)),
        ("v=DMARC1; p=reject; np=bad; rua=mailto:d@example.org", Record(Policy.NONE, aggregate_uris=RUA)),
        # … or nobody does
        ("v=DMARC1", Record(Policy.NONE, usable=False)),
        ("v=DMARC1; p=", Record(Policy.NONE, usable=False)),
        ("v=DMARC1; p=bad", Record(Policy.NONE, usable=False)),
        ("v=DMARC1; p!=reject", Record(Policy.NONE, usable=False)),
        ("v=DMARC1; p=reject; sp=bad", Record(Policy.NONE, usable=False)),
        ("v=DMARC1; rua=bogus", Record(Policy.NONE, usable=False)),
    ],
)
def test_read(text: str, record: Record) -> None:
    assert parse_record(text.encode()) == record


@pytest.mark.parametrize(
    "text",
    [
        "", "v=", "v=DMARC", "v=DMARC2; p=reject", "v=DMARC1x; p=reject", "v=dmarc1; p=reject", "p=reject; v=DMARC1",
        "x=y; v=DMARC1; p=reject", "v=spf1 -all", "some text", "v=DMARC1 p=reject", "; v=DMARC1; p=reject",
        "v=DMARC1; =value", "v=DMARC1; p=reject; =value", "v=DMARC1; p=none; p=reject", "v=DMARC1; x-y=1; X-Y=2",
        "v=DMARC1; p=reject; n=" + "x" * 9000,
    ],
)  # fmt: skip
def test_no_record(text: str) -> None:
    assert parse_record(text.encode()) is None


@given(
    st.one_of(
        st.binary(max_size=200), st.text(alphabet="vDMARC1=;p rejctsnyu,:!\t", max_size=60).map(str.encode)
    )
)
def test_never_raises(text: bytes) -> None:
    record = parse_record(b"v=DMARC1;" + text)
    assert record is None or record.policy is not None
