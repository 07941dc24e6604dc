"""All options of postgrey(8)."""

from __future__ import annotations

from gatepost.importing.catalogue import Catalogue

_SYSTEMD = "systemd starts the daemon, in the foreground"
_LOG = "lines go to standard error, and so to the journal; log.level says which"

OPTIONS = Catalogue(
    folds=False,
    carried={
        "auto-whitelist-clients": "`auto_allow`",
        "delay": "`delay`",
        "greylist-text": "`text`; so is POSTGREY_TEXT",
        "inet": "`socket`",
        "ipv4cidr": "`ipv4_prefix`",
        "ipv6cidr": "`ipv6_prefix`",
        "lookup-by-host": "`ipv4_prefix: 32` and `ipv6_prefix: 128`",
        "max-age": "`max_age`",
        "retry-window": "`retry_window`",
        "socketmode": "`mode` of `socket`",
        "unix": "`socket`",
        "whitelist-clients": "`allow.client_files`: the file itself, as it is",
        "whitelist-recipients": "`allow.recipient_files`: the file itself, as it is",
    },
    always={
        "daemonize": _SYSTEMD,
        "lookup-by-subnet": "clients of one network count as one; see ipv4_prefix and ipv6_prefix",
    },
    meaningless={
        "dbdir": "the database has another form and is not taken over: senders have to come again once more; see store",
        "exim": "for Exim; Postfix keeps its connections",
        "help version": "asks for information",
        "hostname": "the field names authserv_id",
        "listen-queue-size": "1,024 connections can wait",
        "pidfile": _SYSTEMD,
        "quiet syslog-facility verbose": _LOG,
        "user group": "the unit runs the daemon as gatepost",
    },
    unsupported={
        "greylist-action": "the answer is DEFER_IF_PERMIT, so that mail that is refused anyhow is refused at once",
        "privacy": "addresses are remembered as they are, for gatepost greylist show; max_age says how long",
        "x-greylist-header": "the field is X-Greylist: delayed N seconds by gatepost",
    },
)

SHORT = {"h": "help", "v": "verbose", "q": "quiet", "u": "unix", "i": "inet", "d": "daemonize"}
"""Options of one letter."""

SWITCHES = frozenset(
    {
        "help",
        "version",
        "verbose",
        "quiet",
        "daemonize",
        "privacy",
        "exim",
        "lookup-by-subnet",
        "lookup-by-host",
    }
)
"""Options without a value."""

OPTIONAL = frozenset({"auto-whitelist-clients"})
"""Options whose value may be left out; it then stands only behind ``=``."""
