"""Name servers that lie, stall and loop: each answer comes to a defined result, in bounded time, at a bounded cost."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest

from tests.harness.dns_server import DnsServer, Records
from tests.harness.milter_client import Mail
from tests.harness.trouble import trouble
from tests.hostile import answers
from tests.hostile.answers import DOMAIN, MAKERS, TEXT
from tests.hostile.site import CLIENT, SECONDS, Site

_NAMES = ("dkim-verify", "dmarc", "spf")
_SIGNATURE = " v=1; a=rsa-sha256; d={domain}; s=mail; h=from; bh=AAAA; b=AAAA"

# What a name server does that the harness has words for.
ZONES: Mapping[str, Records] = {
    "servfail": ["SERVFAIL"],
    "refused": ["REFUSED"],
    "formerr": ["FORMERR"],
    "notimp": ["NOTIMP"],
    "silence": ["TIMEOUT"],
    "noise": ["NOISE"],
    "garbage": ["GARBAGE"],
    "referral": ["REFERRAL"],
    "nxdomain": ["NXDOMAIN", "NO_SOA"],
    "nodata": ["NODATA", "NO_SOA"],
    "tc-and-no-tcp": ["TRUNCATE", "CLOSE_TCP"],
    "tc-and-silence": ["TRUNCATE", "SILENT_TCP"],
    "tc-and-drops": ["TRUNCATE", "TRICKLE_TCP", {"TXT": TEXT}],
    "tc-and-half": ["TRUNCATE", "CUT_TCP", {"TXT": TEXT}],
    "tc-and-tc": ["TRUNCATE_TCP"],
}
# Nobody can know: "temperror" from all three. Nothing is there: no key, no policy, no record.
UNKNOWN = ("temperror", "temperror", "temperror")
NOTHING = ("permerror", "none", "none")
# The record that was sent, which is a sound one of SPF and no key.
THERE = ("permerror", "none", "fail")
OTHERS = {
    **dict.fromkeys(("other-name", "in-authority", "in-additional", "another-class"), NOTHING),
    **dict.fromkeys(("nxdomain", "nodata"), NOTHING),
    **dict.fromkeys(("ttl-0", "ttl-2-31", "ttl-2-32"), THERE),
    **dict.fromkeys(("60k-record", "60k-record-over-tcp"), ("permerror", "none", "permerror")),
    **dict.fromkeys(("900-records",), ("permerror", "none", "none")),
}
EXPECTED = {what: OTHERS.get(what, UNKNOWN) for what in (*MAKERS, "wrong-source", *ZONES)}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], tuple[str, float]]]:
    """What each daemon made of each answer, and the seconds that it took; all are asked side by side."""
    zone = {
        f"{prefix}{what}.{DOMAIN}": records
        for what, records in ZONES.items()
        for prefix in ("", "mail._domainkey.", "_dmarc.")
    }
    with Site(tmp_path_factory.mktemp("dns"), zone=zone, names=_NAMES) as site:
        answers.install(site.dns)
        before = {name: site.usage(name) for name in _NAMES}

        def asked(case: tuple[str, str]) -> tuple[str, float]:
            begin = time.monotonic()
            return _verdict(site, *case), time.monotonic() - begin

        cases = list(product(EXPECTED, _NAMES))
        with ThreadPoolExecutor(32) as pool:
            found = dict(zip(cases, pool.map(asked, cases), strict=True))
        for name in _NAMES:
            spent = site.usage(name) - before[name]
            assert spent.megabytes < 20
            assert spent.cpu < 5
            assert site.served(name) < SECONDS
            assert trouble(site.log(name)) == []
        yield found


def _verdict(site: Site, what: str, name: str) -> str:
    domain = f"{what}.{DOMAIN}"
    sender = f"a@{domain}"
    if name == "spf":
        action = site.asked("spf", sender=sender, helo_name=f"[{CLIENT}]")
        return "fail" if action.startswith("550") else re.findall(r"spf=(\w+)", action)[-1]
    headers = [
        (b"DKIM-Signature", _SIGNATURE.format(domain=domain).encode()),
        (b"From", f" {sender}".encode()),
    ]
    mail = Mail(headers=headers, body=b"x\r\n", mail_from=sender.encode(), client_address=CLIENT)
    (field,) = site.sent(name, mail).values(b"Authentication-Results")
    method = "dkim" if name == "dkim-verify" else "dmarc"
    (verdict,) = re.findall(rf"\b{method}=(\w+)", field.decode())
    return str(verdict)


@pytest.mark.parametrize("what", EXPECTED)
def test_every_answer_has_a_result_in_time(
    results: dict[tuple[str, str], tuple[str, float]], what: str
) -> None:
    found = [results[what, name] for name in _NAMES]
    assert tuple(verdict for verdict, _ in found) == EXPECTED[what]
    # A question may take 1 s here, and all of a message 3 s; the DMARC daemon asks for the policy after the rest.
    assert max(seconds for _, seconds in found) < 3 + SECONDS


def test_a_storm_of_names_that_are_not_there(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The cache stays as large as it may be, and what is asked for often stays in it."""
    directory = tmp_path_factory.mktemp("storm")
    with Site(directory, names=("spf",), dns={"cache_size": 100}) as site:
        with site.bounded("spf", megabytes=5, cpu=5, questions=1010):
            for number in range(500):
                assert site.asked(
                    "spf", sender=f"a@d{number}.nowhere.example", helo_name=f"h{number}.example"
                )
                if number % 10 == 0:
                    site.served("spf")
        assert site.dns.count("example.org") == 1
        site.asked("spf", sender="a@d0.nowhere.example")
        assert site.dns.count("d0.nowhere.example") == 2


def test_servers_that_refuse_tcp(tmp_path_factory: pytest.TempPathFactory) -> None:
    with DnsServer({"*": ["TRUNCATE", {"TXT": TEXT}]}, tcp=False) as udp_only:
        directory = tmp_path_factory.mktemp("tcp")
        settings = {"nameservers": [udp_only.address]}
        with Site(directory, names=("dkim-verify", "spf"), dns=settings, honest=False) as site:
            assert _verdict(site, "any", "dkim-verify") == "temperror"
            assert _verdict(site, "any", "spf") == "temperror"


def test_an_alias_that_never_ends_costs_few_questions(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Site(tmp_path_factory.mktemp("alias"), names=("spf",)) as site:
        answers.install(site.dns)
        before = site.dns.count()
        assert _verdict(site, "cname-to-the-next", "spf") == "temperror"
        assert site.dns.count() - before <= 9
