"""Amavis with SpamAssassin, set up by our own conf/amavis and conf/spamassassin on top of Debian's files.

Without ClamAV: its signatures come from outside. SpamAssassin asks nothing over
the network, and no list knows the addresses used here.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.harness.ports import listening
from tests.harness.process import Process
from tests.pipeline.machine import ADDRESS, HOSTNAME, rewrite
from tests.pipeline.servers.dns import HOSTED

CONF = Path(__file__).parents[3] / "conf"
LOG = Path("/var/log/amavis.log")
QUARANTINE = Path("/var/lib/amavis/virusmails")

# What the guides have in 50-user, as far as it decides over mail: spam is kept aside, and its sender not told.
_USER = """\
use strict;
$myhostname = '{hostname}';
@local_domains_acl = ({domains});
@bypass_spam_checks_maps = (\\%bypass_spam_checks, \\@bypass_spam_checks_acl, \\$bypass_spam_checks_re);
$max_servers = 2;
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


def furnish() -> None:
    """Write Amavis' and SpamAssassin's configuration."""
    domains = ", ".join(f"'.{domain}'" for domain in HOSTED)
    rewrite("/etc/amavis/conf.d/50-user", _USER.format(hostname=HOSTNAME, domains=domains, log=LOG))
    shutil.copy(CONF / "amavis" / "50-gatepost", "/etc/amavis/conf.d/50-gatepost")
    rewrite("/etc/spamassassin/local.cf", _SPAMASSASSIN.format(address=ADDRESS))
    shutil.copy(CONF / "spamassassin" / "gatepost.cf", "/etc/spamassassin/gatepost.cf")
    _load_plugin("AuthRes")
    rewrite(LOG, "", owner="amavis", group="amavis")
    for path in (
        *(Path("/var/lib/amavis", name) for name in ("tmp", "db", "virusmails")),
        Path("/run/amavis"),
    ):
        path.mkdir(mode=0o750, exist_ok=True)
        shutil.chown(path, "amavis", "amavis")


def _load_plugin(name: str) -> None:
    """Take the # from in front of the plugin's line, in the file that has it."""
    line = re.compile(rf"(?m)^#?\s*(loadplugin\s+Mail::SpamAssassin::Plugin::{name})\b")
    for file in Path("/etc/spamassassin").glob("*.pre"):
        text = file.read_text()
        if line.search(text):
            rewrite(file, line.sub(r"\1", text))
            return
    raise RuntimeError(f"no *.pre of SpamAssassin names {name}")


class Amavis(Process):
    """One instance with both ports."""

    def __init__(self, directory: Path) -> None:
        super().__init__(
            ["amavisd", "foreground"],
            directory / "amavis.out",
            ready=lambda: listening(10024) and listening(10028),
            timeout=60,
        )

    def output(self) -> str:
        """What it has written, and its log."""
        return super().output() + LOG.read_text(errors="replace")
