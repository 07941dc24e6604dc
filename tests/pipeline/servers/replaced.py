"""What ours replace, in their places: OpenDKIM and OpenDMARC twice each, policyd-spf and postgrey.

They are set up as in the guides, save that SPF refuses nothing by itself, so that forwarded mail comes
in as it does with ours. Nobody reads what they tell syslog(3), so it costs them nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.harness.opendmarc import SUFFIXES
from tests.harness.peer import Peer
from tests.harness.ports import LOOPBACK, listening
from tests.harness.process import Process
from tests.pipeline.machine import HOSTNAME, rewrite
from tests.pipeline.servers.gatepost import ETC, SIGNED

SPF = Path("/var/spool/postfix/private/gatepost-spf")
"""Where Postfix looks for SPF, whoever is there."""

_GREYLIST = 10023

_SPF = f"""\
debugLevel = 1
TestOnly = 1
HELO_reject = False
Mail_From_reject = False
PermError_reject = False
TempError_Defer = False
skip_addresses = 127.0.0.0/8,::ffff:127.0.0.0/104,::1
Header_Type = AR
Authserv_Id = {HOSTNAME}
"""


def replaced(directory: Path) -> Sequence[Process]:
    """The six, not started yet. They sign with the keys that gatepost has."""
    place = directory / "replaced"
    local = rewrite(place / "local", f"{LOOPBACK}\n::1\n")
    verify = {"Mode": "v", "AlwaysAddARHeader": "yes", "MinimumKeyBits": "1024"}
    sign = {"Mode": "s", "Canonicalization": "relaxed/relaxed", "OversignHeaders": "From", **_tables(place)}
    hosts = {"InternalHosts": str(local), "AuthservID": HOSTNAME, "Nameservers": LOOPBACK}
    return [
        Peer("opendkim", place, hosts | verify, 8891),
        Peer("opendkim", place, hosts | sign, 8892),
        Peer("opendmarc", place, _dmarc(place, local) | {"RejectFailures": "yes"}, 8893),
        Peer("opendmarc", place, _dmarc(place, local) | {"RejectFailures": "no"}, 8894),
        _policyd_spf(place),
        _postgrey(place),
    ]


def _tables(place: Path) -> Mapping[str, str]:
    keys = {domain: ETC / "keys" / domain / "mail.private" for domain in SIGNED}
    lines = "".join(f"{domain} {domain}:mail:{file}\n" for domain, file in keys.items())
    key_table = rewrite(place / "keys", lines)
    signing_table = rewrite(place / "signing", "".join(f"*@{domain} {domain}\n" for domain in keys))
    return {
        "KeyTable": f"refile:{key_table}",
        "SigningTable": f"refile:{signing_table}",
        "RequireSafeKeys": "no",
    }


def _dmarc(place: Path, local: Path) -> dict[str, str]:
    return {
        "AuthservID": HOSTNAME,
        "TrustedAuthservIDs": HOSTNAME,
        "IgnoreAuthenticatedClients": "yes",
        "IgnoreHosts": str(local),
        "PublicSuffixList": str(SUFFIXES),
        "RequiredHeaders": "yes",
        "SPFIgnoreResults": "no",
        "SPFSelfValidate": "no",
        "HistoryFile": str(place / "history"),
    }


def _policyd_spf(place: Path) -> Process:
    """A process for each connection, as spawn(8) makes them."""
    configuration = rewrite(place / "policyd-spf.conf", _SPF)
    listen = f"UNIX-LISTEN:{SPF},fork,unlink-early,mode=660,group=postfix,backlog=128"
    command = ["socat", listen, f"EXEC:policyd-spf {configuration},nofork"]
    return Process(command, place / "policyd-spf.log", ready=SPF.is_socket)


def _postgrey(place: Path) -> Process:
    command = [
        *("postgrey", f"--inet={LOOPBACK}:{_GREYLIST}", f"--dbdir={place}", f"--pidfile={place / 'pid'}"),
        *("--user=root", "--group=root", "--delay=1"),
    ]
    return Process(command, place / "postgrey.log", ready=lambda: listening(_GREYLIST))
