"""The real OpenDMARC beside dmarc-enforce, on the same results: where they agree, and where not, on purpose.

What differs is listed in docs/peers.md, with the reason.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.daemon import Installation
from tests.harness.dns_server import DnsServer
from tests.harness.milter_client import Mail, MilterClient
from tests.harness.opendmarc import OpenDmarc
from tests.harness.ports import LOOPBACK

RECORDS: Mapping[str, str] = {
    "_dmarc.reject.example": "v=DMARC1; p=reject",
    "_dmarc.quarantine.example": "v=DMARC1; p=quarantine",
    "_dmarc.none.example": "v=DMARC1; p=none",
    "_dmarc.strict.example": "v=DMARC1; p=reject; adkim=s; aspf=s",
    "_dmarc.below.example": "v=DMARC1; p=none; sp=reject",
    "_dmarc.own.below.example": "v=DMARC1; p=quarantine",
    "_dmarc.spaced.example": "v=DMARC1 ; p=reject ;  rua=mailto:a@spaced.example ; fo=1",
    "_dmarc.later.example": "v=spf1 -all; v=DMARC1; p=reject",
    "_dmarc.between.large.example": "v=DMARC1; p=reject",
    "_dmarc.dept.giant.example": "v=DMARC1; p=reject; psd=n",
    "_dmarc.giant.example": "v=DMARC1; p=reject",
    "_dmarc.testing.example": "v=DMARC1; p=reject; t=y",
    "_dmarc.percent.example": "v=DMARC1; p=reject; pct=0",
    "_dmarc.nothing.example": "v=DMARC1; p=none; np=reject",
    "_dmarc.mailing.example": "v=DMARC1; p=reject",
    "_dmarc.reports.example": "v=DMARC1; rua=mailto:a@reports.example",
    "_dmarc.unknown.example": "v=DMARC1; p=whatever; rua=mailto:a@unknown.example",
    "_dmarc.sub.parent.example": "v=DMARC1; p=reject",
    "_dmarc.unlisted.test": "v=DMARC1; p=reject",
    "_dmarc.co.uk": "v=DMARC1; p=reject; psd=y",
}


@dataclass(frozen=True)
class Verdict:
    """The DMARC result ("" where no field was written) and what is done with the message."""

    result: str
    action: str


@dataclass(frozen=True)
class Peers:
    """Both daemons."""

    ours: MilterClient
    theirs: MilterClient

    def judge(self, mail: Mail) -> tuple[Verdict, Verdict]:
        return _verdict(self.ours, mail), _verdict(self.theirs, mail)


def _verdict(client: MilterClient, mail: Mail) -> Verdict:
    done = client.send(mail)
    action = "quarantine" if done.quarantine is not None else done.disposition
    if done.disposition == "replycode":
        action = "reject" if done.reply.startswith("550 5.7.1") else done.reply
    found = re.findall(rb"(?<![.\w])dmarc=([a-z]+)", b"".join(done.values(b"authentication-results")))
    return Verdict("".join(word.decode() for word in found) or ("fail" if action == "reject" else ""), action)


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    assert shutil.which("opendmarc"), "opendmarc is not installed: script/test installs it"
    directory: Path = tmp_path_factory.mktemp("peers")
    section = {"kind": "dmarc", "mode": "enforce", "history": str(directory / "dmarc.db")}
    zone = {name: [{"TXT": text}] for name, text in RECORDS.items()}
    suffixes = directory / "suffixes"
    suffixes.write_text("example\nco.uk\n")
    with (
        DnsServer(zone) as dns,
        OpenDmarc(
            directory / "opendmarc", records=RECORDS, options={"PublicSuffixList": str(suffixes)}
        ) as opendmarc,
        Installation(
            directory,
            {"dmarc-enforce": section},
            {"believe_unsealed_from": ["0.0.0.0/0"], "dns": {"nameservers": [dns.address]}},
        ) as gatepost,
        MilterClient((LOOPBACK, gatepost["dmarc-enforce"].port)) as ours,
        MilterClient((LOOPBACK, opendmarc.port)) as theirs,
    ):
        yield Peers(ours, theirs)


def mail(
    author: str, results: str, mail_from: str = "x@other.example", extra: tuple[tuple[bytes, bytes], ...] = ()
) -> Mail:
    headers = [
        (b"Authentication-Results", f" mail.example.nl; {results}".encode()),
        (b"From", f" {author}".encode()),
        (b"To", b" bert@example.nl"),
        (b"Subject", b" A word"),
        (b"Date", b" Sat, 21 Nov 2026 10:00:00 +0000"),
        (b"Message-ID", b" <1@example.org>"),
        *extra,
    ]
    return Mail(headers, b"Hello.\r\n", mail_from.encode(), helo=b"mx.other.example")


LIST = ((b"List-Id", b" <l.other.example>"), (b"List-Post", b" <mailto:l@other.example>"))
NO = "spf=none smtp.mailfrom=other.example; dkim=none"

AGREED = [
    ("a@reject.example", NO, "fail", "reject"),
    ("a@quarantine.example", NO, "fail", "quarantine"),
    ("a@none.example", NO, "fail", "accept"),
    ("a@norecord.example", NO, "none", "accept"),
    ("a@spaced.example", NO, "fail", "reject"),
    ("Anna <a@REJECT.example>", NO, "fail", "reject"),
    ('"b@none.example" <a@reject.example>', NO, "fail", "reject"),
    # DKIM
    ("a@reject.example", "dkim=pass header.d=reject.example", "pass", "accept"),
    ("a@reject.example", "dkim=pass header.d=mail.reject.example", "pass", "accept"),
    ("a@mail.reject.example", "dkim=pass header.d=reject.example", "pass", "accept"),
    ("a@reject.example", "dkim=fail header.d=reject.example", "fail", "reject"),
    ("a@reject.example", "dkim=pass header.d=other.example", "fail", "reject"),
    ("a@reject.example", "dkim=pass header.d=notreject.example", "fail", "reject"),
    (
        "a@reject.example",
        "dkim=fail header.d=other.example; dkim=pass header.d=reject.example",
        "pass",
        "accept",
    ),
    ("a@strict.example", "dkim=pass header.d=strict.example", "pass", "accept"),
    ("a@strict.example", "spf=pass smtp.mailfrom=strict.example", "pass", "accept"),
    # SPF
    ("a@reject.example", "spf=pass smtp.mailfrom=reject.example", "pass", "accept"),
    ("a@reject.example", "spf=pass smtp.mailfrom=bounces.reject.example", "pass", "accept"),
    ("a@reject.example", "spf=softfail smtp.mailfrom=reject.example", "fail", "reject"),
    ("a@reject.example", "spf=pass smtp.mailfrom=other.example", "fail", "reject"),
    ("a@reject.example", "spf=pass smtp.helo=reject.example", "fail", "reject"),
    # policies of subdomains
    ("a@below.example", NO, "fail", "accept"),
    ("a@sub.below.example", NO, "fail", "reject"),
    ("a@own.below.example", NO, "fail", "quarantine"),
    ("a@a.b.c.reject.example", NO, "fail", "reject"),
]


@pytest.mark.parametrize(("author", "results", "result", "action"), AGREED)
def test_both_agree(peers: Peers, author: str, results: str, result: str, action: str) -> None:
    mail_from = found[1] if (found := re.search(r"smtp\.mailfrom=(\S+)", results)) else "x@other.example"
    mail_from = mail_from if "@" in mail_from else f"x@{mail_from}"
    assert peers.judge(mail(author, results, mail_from)) == (Verdict(result, action),) * 2


DIFFERENT: dict[str, tuple[Mail, Verdict, Verdict]] = {
    "the tree walk finds a record between": (
        mail("a@deep.between.large.example", NO), Verdict("fail", "reject"), Verdict("none", "accept"),
    ),
    "psd=n parts an organization": (
        mail("a@dept.giant.example", "dkim=pass header.d=giant.example"),
        Verdict("fail", "reject"), Verdict("pass", "accept"),
    ),
    "a record below a parent without one": (
        mail("a@sub.parent.example", "dkim=pass header.d=parent.example"),
        Verdict("fail", "reject"), Verdict("pass", "accept"),
    ),
    "the public suffix's own record": (
        mail("a@shop.co.uk", NO), Verdict("fail", "reject"), Verdict("none", "accept"),
    ),
    "np": (mail("a@nowhere.nothing.example", NO), Verdict("fail", "reject"), Verdict("fail", "accept")),
    "t=y": (mail("a@testing.example", NO), Verdict("fail", "quarantine"), Verdict("fail", "reject")),
    "pct=0": (mail("a@percent.example", NO), Verdict("fail", "reject"), Verdict("fail", "accept")),
    "a mailing list": (
        mail("a@mailing.example", NO, extra=LIST),
        Verdict("fail", "quarantine"), Verdict("fail", "reject"),
    ),
    "no policy, but reports wanted": (
        mail("a@reports.example", NO), Verdict("fail", "accept"), Verdict("permerror", "accept"),
    ),
    "an unknown policy, but reports wanted": (
        mail("a@unknown.example", NO), Verdict("fail", "accept"), Verdict("permerror", "accept"),
    ),
    "two From fields": (
        mail("a@none.example", NO, extra=((b"From", b" a@reject.example"),)),
        Verdict("permerror", "accept"), Verdict("fail", "accept"),
    ),
    "two authors": (
        mail("a@none.example, a@reject.example", NO), Verdict("permerror", "accept"), Verdict("", "accept"),
    ),
    "DKIM temperror": (
        mail("a@reject.example", "dkim=temperror header.d=reject.example"),
        Verdict("temperror", "accept"), Verdict("fail", "reject"),
    ),
    "an aligned pass in a field of which a part cannot be read": (
        mail("a@reject.example", "dkim=pass header.d=reject.example; dkim="),
        Verdict("fail", "reject"), Verdict("pass", "accept"),
    ),
    "adkim=s": (
        mail("a@strict.example", "dkim=pass header.d=mail.strict.example"),
        Verdict("fail", "reject"), Verdict("pass", "accept"),
    ),
    "aspf=s": (
        mail("a@strict.example", "spf=pass smtp.mailfrom=bounces.strict.example", "x@bounces.strict.example"),
        Verdict("fail", "reject"), Verdict("pass", "accept"),
    ),
    "SPF's domain written as an address": (
        mail("a@reject.example", "spf=pass smtp.mailfrom=x@reject.example", "x@reject.example"),
        Verdict("pass", "accept"), Verdict("fail", "reject"),
    ),
    "a record that does not begin with its version": (
        mail("a@later.example", NO), Verdict("none", "accept"), Verdict("permerror", "accept"),
    ),
    "a top-level domain that the list lacks": (
        mail("a@sub.unlisted.test", NO), Verdict("fail", "reject"), Verdict("none", "accept"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DIFFERENT)
def test_they_differ(peers: Peers, name: str) -> None:
    letter, ours, theirs = DIFFERENT[name]
    assert peers.judge(letter) == (ours, theirs)
