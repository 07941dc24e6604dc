"""The guides' configurations of other daemons, taken over by ``gatepost import`` and put to work behind a Postfix."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.support import ANNA, BERT, FRIEND, RESULTS, message, records_of, zone_of
from tests.harness.daemon import Installation
from tests.harness.keys import KeyPair, passes, rsa_key
from tests.harness.layouts import layout_a, layout_c
from tests.harness.ports import LOOPBACK, free_port, listening
from tests.harness.smtp import RefusedError, Reply
from tests.harness.waiting import wait_for

OWN, FOREIGN = "example.nl", "example.org"
BANK = "service@bank.example"
RECORDS = {
    FOREIGN: [{"TXT": "v=spf1 ip4:192.0.2.0/24 -all"}],
    f"_dmarc.{FOREIGN}": [{"TXT": "v=DMARC1; p=reject"}],
    "bank.example": [{"TXT": "v=spf1 -all"}],
    "_dmarc.bank.example": [{"TXT": "v=DMARC1; p=reject"}],
}


class Site:
    """An /etc of another server, below a directory that the daemons' users can enter."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sections: dict[str, dict[str, Any]] = {}
        self.common: dict[str, Any] = {}

    def write(self, name: str, text: str, owner: str = "", mode: int = 0o644) -> Path:
        """Write a file below /etc; in *text*, /etc and /run are the site's own."""
        file = self.root / "etc" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("/etc/", f"{self.root}/etc/").replace("/run/", f"{self.root}/run/"))
        file.chmod(mode)
        if owner:
            shutil.chown(file, owner, owner)
        return file

    def take_over(self, peer: str, *names: str) -> str:
        """Import the files called *names* below /etc, and give the report."""
        files = [str(self.root / "etc" / name) for name in names]
        command = [sys.executable, "-m", "gatepost", "import", peer, *files]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        document = yaml.safe_load(done.stdout)
        self.sections |= document.pop("daemons")
        self.common |= document
        return done.stderr

    def installation(self, keys: Sequence[KeyPair], **changes: Mapping[str, Any]) -> Installation:
        """What was imported, with the DNS of the test, and *changes* in places that only the test has to change."""
        zone = self.root / "zone.yaml"
        zone.write_text(yaml.safe_dump({**zone_of(keys), **RECORDS}))
        sections = {name: {**section, **changes.get(name, {})} for name, section in self.sections.items()}
        installation = Installation(
            self.root / "gatepost", sections, {**self.common, "dns": {"zone": str(zone)}}
        )
        command = [sys.executable, "-m", "gatepost", "check", "--json", "--config", str(installation.file)]
        checked = subprocess.run(command, capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout
        assert json.loads(checked.stdout)["warnings"] == []
        return installation


@pytest.fixture
def site(open_place: Path) -> Site:
    return Site(open_place)


def own_ports(count: int) -> list[int]:
    """Free ports, each with a free one behind it."""
    ports: list[int] = []
    while len(ports) < count:
        port = free_port()
        if port < 65535 and not listening(port + 1) and not {port - 1, port, port + 1} & set(ports):
            ports.append(port)
    return ports


def inet(port: int) -> str:
    return f"inet:{LOOPBACK}:{port}"


def users_of(peer: str) -> None:
    """Let go of a test that needs the users that *peer*'s package makes."""
    if shutil.which(peer) is None or os.geteuid() != 0:
        pytest.skip(f"{peer} is not installed")


def test_two_opendkim_two_opendmarc_and_policyd_spf(site: Site) -> None:
    users_of("opendkim")
    own, foreign = rsa_key(OWN), rsa_key(FOREIGN)
    verify, sign, enforce, stamp = own_ports(4)
    common = "Syslog yes\nSyslogSuccess yes\nLogWhy yes\nUserID opendkim:opendkim\n"
    site.write("opendkim/TrustedHosts", "127.0.0.1\nlocalhost\n::1\n")
    site.write(f"opendkim/keys/{OWN}/mail.private", own.pem.decode(), "opendkim", 0o600)
    key = f"mail._domainkey.{OWN}"
    site.write("opendkim/KeyTable", f"{key} {OWN}:mail:/etc/opendkim/keys/{OWN}/mail.private\n")
    site.write("opendkim/SigningTable", f"*@{OWN} {key}\n")
    site.write(
        "opendkim-sign.conf",
        f"# OpenDKIM SIGN-ONLY\n{common}PidFile /run/opendkim-sign/opendkim.pid\nMode s\n"
        f"Socket inet:{sign}@127.0.0.1\nCanonicalization relaxed/relaxed\nSignatureAlgorithm rsa-sha256\n"
        "MinimumKeyBits 2048\nKeyTable refile:/etc/opendkim/KeyTable\n"
        "SigningTable refile:/etc/opendkim/SigningTable\nInternalHosts refile:/etc/opendkim/TrustedHosts\n"
        f"AlwaysAddARHeader yes\nAuthservID mail.{OWN}\nOversignHeaders From\n",
    )
    site.write(
        "opendkim-verify.conf",
        f"{common}PidFile /run/opendkim-verify/opendkim.pid\nMode v\nSocket inet:{verify}@127.0.0.1\n"
        f"AlwaysAddARHeader yes\nAuthservID mail.{OWN}\nMinimumKeyBits 1024\nOn-BadSignature accept\n"
        "On-SignatureError accept\nInternalHosts refile:/etc/opendkim/TrustedHosts\n",
    )
    site.write("opendmarc/ignore.hosts", "127.0.0.1\n::1\n")
    for name, port, rejects in (("opendmarc", enforce, "true"), ("opendmarc-stamp", stamp, "false")):
        site.write(
            f"{name}.conf",
            f"AuthservID mail.{OWN}\nAuthservIDWithJobID false\nTrustedAuthservIDs mail.{OWN}\n"
            f"PidFile /run/{name}/opendmarc.pid\nSocket inet:{port}@127.0.0.1\nSyslog true\n"
            f"SyslogFacility mail\nSoftwareHeader false\nRequiredHeaders true\nRejectFailures {rejects}\n"
            "IgnoreAuthenticatedClients true\nIgnoreHosts /etc/opendmarc/ignore.hosts\n"
            f"SPFIgnoreResults false\nSPFSelfValidate false\nHistoryFile /run/{name}/opendmarc.dat\n"
            "FailureReports false\n",
        )
    site.write(
        "policyd-spf.conf",
        "debugLevel = 1\nTestOnly = 0\nHELO_reject = Fail\nMail_From_reject = Fail\nPermError_reject = False\n"
        "TempError_Defer = False\nskip_addresses = 127.0.0.0/8,::ffff:127.0.0.0/104,::1\n"
        "Whitelist = 203.0.113.10/32,2001:db8::10/128\nSPF_Enhanced_Status_Codes = Yes\nHide_Receiver = No\n"
        f"Authserv_Id = mail.{OWN}\nHeader_Type = AR\n",
    )
    site.take_over("opendkim", "opendkim-verify.conf", "opendkim-sign.conf")
    site.take_over("opendmarc", "opendmarc.conf", "opendmarc-stamp.conf")
    assert "dry_run: no" in site.take_over("policyd-spf", "policyd-spf.conf")
    socket = site.root / "spf"
    gatepost = site.installation(
        [own, foreign],
        spf={"socket": {**site.sections["spf"]["socket"], "address": f"unix:{socket}"}},
        **{"dmarc-enforce": {"history": str(site.root / "dmarc.db")}},
    )
    mx = layout_a(
        border=[inet(verify), inet(enforce)],
        inward=[inet(verify), inet(stamp)],
        outward=[inet(sign)],
        policy=[f"unix:{socket}"],
    )
    with gatepost, mx:
        mx.receive(foreign.sign(message(FRIEND, ANNA)), FRIEND, [ANNA])
        [mail] = mx.postfix.wait_for_delivery(ANNA)
        results = " ".join(mail.values(RESULTS))
        for found in ("dkim=pass", "spf=pass", "dmarc=pass"):
            assert f"{found} " in results
        with pytest.raises(RefusedError, match=r"END: 550 5\.7\.1 .*bank\.example"):
            mx.receive(message(BANK, BERT), BANK, [BERT])
        mx.submit(message(ANNA, FRIEND), ANNA, [FRIEND])
        [sent] = mx.postfix.wait_for_delivery(FRIEND)
        assert passes(sent.octets, records_of([own])) == [True]


def test_one_opendkim_for_both_and_postgrey(site: Site) -> None:
    users_of("opendkim")
    own, foreign = rsa_key(OWN, "201708"), rsa_key(FOREIGN)
    greylist = free_port()
    site.write("opendkim/trusted.hosts", f"127.0.0.1\n::1\nlocalhost\n{LOOPBACK}\n")
    site.write("dkimkeys/quietlife.private", own.pem.decode(), "opendkim", 0o600)
    site.write("opendkim/key.table", f"quietlife {OWN}:201708:/etc/dkimkeys/quietlife.private\n")
    site.write("opendkim/signing.table", "*  quietlife\n")
    site.write(
        "opendkim.conf",
        "Syslog                  yes\nUMask                   002\n# Domain\n#KeyFile  /etc/mail/dkim.key\n"
        "KeyTable                /etc/opendkim/key.table\nSigningTable            refile:/etc/opendkim/signing.table\n"
        "ExternalIgnoreList      /etc/opendkim/trusted.hosts\nInternalHosts           /etc/opendkim/trusted.hosts\n"
        "Canonicalization        relaxed/simple\nMode                    sv\nSubDomains              no\n"
        "OversignHeaders         From\nTrustAnchorFile         /usr/share/dns/root.key\n"
        f"AuthservID              mail.{OWN}\n",
    )
    run = site.root / "run" / "opendkim"
    run.mkdir(parents=True)
    site.write("default/opendkim", "RUNDIR=/run/opendkim\nSOCKET=local:$RUNDIR/opendkim.sock\nEXTRAAFTER=\n")
    site.write("default/postgrey", f'POSTGREY_OPTS="--inet={greylist} --delay=1"\n')
    shown = f"smtpd_milters = unix:{run}/opendkim.sock, unix:{run}/opendkim-sign.sock"
    assert shown in " ".join(site.take_over("opendkim", "opendkim.conf", "default/opendkim").split())
    site.take_over("postgrey", "default/postgrey")
    milters = [site.sections[name]["socket"]["address"] for name in ("dkim-verify", "dkim-sign")]
    assert milters == [f"unix:{run}/opendkim.sock", f"unix:{run}/opendkim-sign.sock"]
    # The guide has Postfix's user join the group of the sockets; here anybody may connect.
    opened = {
        name: {"socket": {"address": address, "mode": "0666"}}
        for name, address in zip(("dkim-verify", "dkim-sign"), milters, strict=True)
    }
    gatepost = site.installation(
        [own, foreign], greylist={"store": f"sqlite:{site.root}/greylist.sqlite"}, **opened
    )
    mx = layout_c(milters=milters, policy=[inet(greylist)])
    with gatepost, mx:
        octets = foreign.sign(message(FRIEND, ANNA))
        refusals: list[int] = []

        def received() -> Reply | None:
            try:
                return mx.receive(octets, FRIEND, [ANNA])
            except RefusedError as error:
                refusals.append(error.reply.code)
                return None

        assert received() is None
        wait_for(lambda: received() is not None, "the end of greylisting")
        assert set(refusals) == {450}
        [mail] = mx.postfix.wait_for_delivery(ANNA)
        assert "X-Greylist" in {field.name.decode() for field in mail.fields}
        assert "dkim=pass " in " ".join(mail.values(RESULTS))
        mx.submit(message(ANNA, FRIEND), ANNA, [FRIEND])
        [sent] = mx.postfix.wait_for_delivery(FRIEND)
        assert passes(sent.octets, records_of([own])) == [True]
        assert "c=relaxed/simple" in sent.values("DKIM-Signature")[0]


def test_dkim_filter_with_its_key_list(site: Site) -> None:
    own, foreign = rsa_key(OWN, OWN, bits=1024), rsa_key(FOREIGN)
    [port] = own_ports(1)
    site.write(f"postfix/dkim/{OWN}.private", own.pem.decode(), mode=0o600)
    site.write("dkim-filter.conf", "Syslog yes\nUMask 002\nKeyList     /etc/dkim-keys.conf\n")
    site.write("dkim-keys.conf", f"*@{OWN}:{OWN}:/etc/postfix/dkim/{OWN}\n")
    site.write("default/dkim-filter", f'SOCKET="inet:{port}@localhost"\n')
    site.take_over("opendkim", "dkim-filter.conf", "default/dkim-filter")
    mx = layout_c(milters=[inet(port), inet(port + 1)])
    with site.installation([own, foreign]), mx:
        mx.receive(foreign.sign(message(FRIEND, ANNA)), FRIEND, [ANNA])
        [mail] = mx.postfix.wait_for_delivery(ANNA)
        assert "dkim=pass " in " ".join(mail.values(RESULTS))
        assert len(mail.values("DKIM-Signature")) == 1
        mx.submit(message(ANNA, FRIEND), ANNA, [FRIEND])
        [sent] = mx.postfix.wait_for_delivery(FRIEND)
        assert passes(sent.octets, records_of([own])) == [True]
