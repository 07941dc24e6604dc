"""Amavis with SpamAssassin, set up by our own conf/amavis and conf/spamassassin on top of Debian's files.

Without ClamAV: its signatures come from outside. SpamAssassin asks nothing over
the network, and no list knows the addresses used here.
"""

from __future__ import annotations

import pwd
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.harness.ports import listening
from tests.harness.process import Process
from tests.pipeline.machine import ADDRESS, HOSTNAME, rewrite
from tests.pipeline.servers.dns import HOSTED

CONF = Path(__file__).parents[3] / "conf"
LOG, OUTWARD_LOG = Path("/var/log/amavis.log"), Path("/var/log/amavis-out.log")
LOCAL = Path("/etc/spamassassin/local.cf")
QUARANTINE = Path("/var/lib/amavis/virusmails")

AT_ONCE = 2
"""Mails that one instance has in its hands at most."""

_PLACES = ("tmp", "db", "virusmails")

# What the guides have in 50-user, as far as it decides over mail: spam is kept aside, and its sender not told.
_USER = """\
use strict;
$myhostname = '{hostname}';
@local_domains_acl = ({domains});
@bypass_spam_checks_maps = (\\%bypass_spam_checks, \\@bypass_spam_checks_acl, \\$bypass_spam_checks_re);
$max_servers = {at_once};
$enable_db = 0;
$enable_global_cache = 0;
$sa_tag_level_deflt = -999;
$sa_tag2_level_deflt = 5.0;
$sa_kill_level_deflt = 6.5;
$final_spam_destiny = D_DISCARD;
$sa_local_tests_only = 1;
$DO_SYSLOG = 0;
$LOGFILE = '{log}';
$log_level = 1;
1;
"""

_SPAMASSASSIN = """\
required_score 5.0
dns_available no
use_bayes 0
use_pyzor 0
use_razor2 0
internal_networks 127.0.0.1 {address}
trusted_networks 127.0.0.1 {address}

# As the guides read the field, without the plugin.
header   SITE_DMARC_FAIL Authentication-Results =~ /dmarc=fail/i
describe SITE_DMARC_FAIL DMARC has failed
score    SITE_DMARC_FAIL 0.1
"""


# A second instance for what users send, as the guides have it: the first one's files, and this behind them.
_OUTWARD = """\
use strict;
$MYHOME = '/var/lib/amavis-out';
$TEMPBASE = "$MYHOME/tmp";
$QUARANTINEDIR = "$MYHOME/virusmails";
$daemon_user = 'amavisout';
$daemon_group = 'amavisout';
$pid_file = '/run/amavis-out/amavisd.pid';
$lock_file = '/run/amavis-out/amavisd.lock';
$unix_socketname = "$MYHOME/amavisd.sock";
$LOGFILE = '/var/log/amavis-out.log';
$inet_socket_port = [10028];
$final_spam_destiny = D_PASS;
1;
"""


class Amavis(Process):
    """An instance that listens on *ports*, with the configuration *file* where it is not Debian's own."""

    def __init__(self, directory: Path, ports: Sequence[int], file: Path | None = None) -> None:
        self._log = OUTWARD_LOG if file else LOG
        super().__init__(
            ["amavisd", *(("-c", str(file)) if file else ()), "foreground"],
            directory / f"amavis.{ports[0]}.out",
            ready=lambda: all(listening(port) for port in ports),
            timeout=60,
        )

    def output(self) -> str:
        """What it has written, and its log."""
        return super().output() + self._log.read_text(errors="replace")


def one_instance(directory: Path, further: str = "") -> list[Amavis]:
    """One for both directions, as conf/amavis has it, with *further* lines. Not started yet."""
    _furnish(further)
    shutil.copy(CONF / "spamassassin" / "gatepost.cf", "/etc/spamassassin/gatepost.cf")
    return [Amavis(directory, [10024, 10028])]


def two_instances(directory: Path, further: str = "") -> list[Amavis]:
    """One for each direction, a user each, as the guides have it. Not started yet.

    Made for a filter before the queue, which sees results that a stranger may have written:
    SpamAssassin is not told to believe any.
    """
    _furnish(f"$inet_socket_port = [10024];\n{further}")
    Path("/etc/spamassassin/gatepost.cf").unlink(missing_ok=True)
    home = "/var/lib/amavis-out"
    if "amavisout" not in {user.pw_name for user in pwd.getpwall()}:
        subprocess.run(["useradd", "--system", "--user-group", "--home-dir", home, "amavisout"], check=True)
    _own("amavisout", [Path(home), *(Path(home, name) for name in _PLACES), Path("/run/amavis-out")])
    rewrite(OUTWARD_LOG, "", owner="amavisout", group="amavisout")
    directories = (Path("/usr/share/amavis/conf.d"), Path("/etc/amavis/conf.d"))
    files = [file for place in directories for file in sorted(place.glob("*"))]
    text = "\n".join(file.read_text(errors="replace") for file in files)
    file = rewrite("/etc/amavis/amavis-out.conf", text + _OUTWARD)
    return [Amavis(directory, [10024]), Amavis(directory, [10028], file)]


def _furnish(further: str = "") -> None:
    """Write what Amavis and SpamAssassin read, with *further* lines for Amavis."""
    domains = ", ".join(f"'.{domain}'" for domain in HOSTED)
    user = _USER.format(hostname=HOSTNAME, domains=domains, log=LOG, at_once=AT_ONCE)
    rewrite("/etc/amavis/conf.d/50-user", user.removesuffix("1;\n") + further + "1;\n")
    shutil.copy(CONF / "amavis" / "50-gatepost", "/etc/amavis/conf.d/50-gatepost")
    rewrite(LOCAL, _SPAMASSASSIN.format(address=ADDRESS))
    _load_plugin("AuthRes")
    rewrite(LOG, "", owner="amavis", group="amavis")
    _own("amavis", [*(Path("/var/lib/amavis", name) for name in _PLACES), Path("/run/amavis")])


def _own(user: str, places: Iterable[Path]) -> None:
    for path in places:
        path.mkdir(mode=0o750, exist_ok=True)
        shutil.chown(path, user, user)


def _load_plugin(name: str) -> None:
    """Take the # from in front of the plugin's line, in the file that has it."""
    line = re.compile(rf"(?m)^#?\s*(loadplugin\s+Mail::SpamAssassin::Plugin::{name})\b")
    for file in Path("/etc/spamassassin").glob("*.pre"):
        text = file.read_text()
        if line.search(text):
            rewrite(file, line.sub(r"\1", text))
            return
    raise RuntimeError(f"no *.pre of SpamAssassin names {name}")
