"""All options of opendmarc.conf(5)."""

from __future__ import annotations

from gatepost.importing.catalogue import Catalogue

_SYSTEMD = "systemd starts the daemon, and starts it again"
_REPORTS = "failure reports (ruf=) are not sent; hardly anybody asks for them, and they tell strangers about our mail"
_ARC = "ARC is not evaluated yet; name the forwarders' hosts in trusted_forwarders"

OPTIONS = Catalogue(
    carried={
        "AuthservID": "`authserv_id`, one for all daemons; of others, `authserv_aliases`",
        "BaseDirectory": "part of the paths that follow from it",
        "DNSTimeout": "`dns.timeout`",
        "HistoryFile": "`history`, an SQLite database, of the daemon that enforces",
        "HoldQuarantinedMessages": "`on_quarantine`: quarantine, or accept where it is off",
        "IgnoreAuthenticatedClients": "`ignore_authenticated`",
        "IgnoreHosts": "`ignore_hosts`; a stamp daemon never ignores 127.0.0.1, where all its mail comes from",
        "IgnoreMailFrom": "`ignore_from`",
        "RejectFailures": "`mode`: enforce or stamp; `on_reject` and `on_temperror`",
        "RejectMultiValueFrom": "`bad_from: reject`",
        "RequiredHeaders": "`bad_from: reject`; counts of other fields are dkim-verify's `required_headers`",
        "Socket": "`socket`",
        "TrustedAuthservIDs": "`authserv_aliases`, as far as they are not AuthservID",
        "UMask": "`mode` of `socket`, where that is a file",
    },
    always={
        "AutoRestart AutoRestartCount AutoRestartRate": _SYSTEMD,
        "Background": "the daemon stays in the foreground, where systemd wants it",
        "SPFIgnoreResults": "only results with our seal are believed; fields that anybody could write never are",
        "SPFSelfValidate": "SPF is checked here whenever no result with our seal is there",
    },
    meaningless={
        "ChangeRootDirectory": "systemd shuts the daemon in",
        "DomainWhitelistSize": "lists have no size to be given",
        "EnableCoredumps": _SYSTEMD,
        "MilterDebug": "log.level: debug, or gatepost record, show the dialogue with Postfix",
        "PidFile": _SYSTEMD,
        "PublicSuffixList": "the tree walk of RFC 9989 needs no list; org_domain: psl for RFC 7489's answer",
        "Syslog SyslogFacility": "lines go to standard error, and so to the journal; see log.level and log.format",
        "UserID": "the unit runs the daemon as gatepost",
    },
    unsupported={
        "AuthservIDWithJobID": "authserv_id is the same in every message: readers could not know it otherwise",
        "CopyFailuresTo": "mail is never copied elsewhere; on_quarantine: quarantine holds it",
        "DomainWhitelist DomainWhitelistFile": _ARC,
        "FailureReports FailureReportsBcc FailureReportsOnNone FailureReportsSentBy ReportCommand": _REPORTS,
        "IgnoreMailTo": "the history has all messages; leave reports out when you make yours",
        "RecordAllMessages": "the history has the messages whose author domain publishes a policy",
        "RejectString": "the reply names the domain, and that it is its DMARC policy",
        "SoftwareHeader": "no field tells what software runs here",
    },
)
