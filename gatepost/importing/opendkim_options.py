"""All options of opendkim.conf(5), and those of dkim-filter.conf(5) that went before it."""

from __future__ import annotations

from gatepost.importing.catalogue import Catalogue

_REPORTS = "failure reports (RFC 6651) are not sent or asked for; DMARC's aggregate reports tell more"
_SCRIPT = "there are no Lua scripts; what they decide is decided by options, or by a milter of your own behind this one"
_SQL = "tables are text files: write the rows to one, and name that"
_VBR = "Vouch By Reference (RFC 5518) is not supported, and hardly used"
_STATISTICS = "counts are at the metrics address, for Prometheus"
_LENGTH = "l= is never written: anybody could add to a message under such a signature"
_SYSTEMD = "systemd starts the daemon, and starts it again"
_LOG = "lines go to standard error, and so to the journal; log.level and log.format say which and how"
_STREAMED = "messages are hashed as they arrive, and nothing is written to disk"
_EXPERIMENT = "an experiment of OpenDKIM's that is not supported"
_ADSP = "ADSP (RFC 5617) is historic: DMARC took its place, see the daemon dmarc"
_DNSSEC = (
    "a validating resolver does it, such as a local unbound named in dns.nameservers; its verdict is noted"
)

OPTIONS = Catalogue(
    carried={
        "AlwaysAddARHeader": "`ar_for_unsigned`",
        "AuthservID": "`authserv_id`, one for all daemons; of others, `authserv_aliases`",
        "BaseDirectory": "part of the paths that follow from it",
        "Canonicalization": "`canonicalization`",
        "ClockDrift": "`clock_drift`",
        "DNSTimeout": "`dns.timeout`",
        "Domain KeyFile Selector": "`keys`, an entry for each domain",
        "DontSignMailTo": "`never_sign_to`, which spares mail that goes only to these",
        "Include": "the lines of that file",
        "InternalHosts": "`trusted_networks`; a verifier that leaves out 127.0.0.1 gets `verify_local: yes`",
        "KeyList": "`key_list`",
        "KeyTable": "`key_table`",
        "MacroList": "`sign_for`",
        "MTA": "`sign_for`, as `daemon_name=NAME`",
        "MaximumHeaders": "`limits.header_bytes`",
        "MaximumSignaturesToVerify": "`max_signatures`",
        "MinimumKeyBits": "`min_rsa_bits`; a signer's is at least 1024",
        "Mode": "the daemons `dkim-verify` and `dkim-sign`, each with a socket of its own",
        "MustBeSigned": "`must_be_signed`",
        "Nameservers": "`dns.nameservers`",
        "OmitHeaders": "`headers`, without these",
        "On-BadSignature": "`on_fail`",
        "On-DNSError": "`on_temperror`",
        "On-Default": "all actions that are not given themselves",
        "On-InternalError": "`on_internal_error`, accept or tempfail",
        "On-KeyNotFound": "`on_key_not_found`",
        "On-NoSignature": "`on_no_signature`",
        "On-Security": "`on_security`",
        "On-SignatureError": "`on_signing_error` of the signer, accept or tempfail",
        "OversignHeaders": "`oversign`",
        "PeerList": "`ignore_hosts`",
        "Quarantine": "`on_fail: quarantine`",
        "RemoveARFrom": "`authserv_aliases`",
        "RemoveOldSignatures": "`remove_old_signatures`",
        "RequireSafeKeys": "`require_safe_keys`",
        "RequiredHeaders": "`required_headers: reject`",
        "SenderHeaders": "`sender_headers`",
        "SignHeaders": "`headers`",
        "SignatureTTL": "`signature_ttl`",
        "SigningTable": "`signing_table`",
        "Socket": "`socket`",
        "StrictHeaders": "`required_headers: policy`",
        "SubDomains": "`subdomains` of each of the `keys`",
        "UMask": "`mode` of `socket`, where that is a file",
    },
    always={
        "AllowSHA1Only": "SHA-256 is always there, and rsa-sha1 never passes (RFC 8301)",
        "AutoRestart AutoRestartCount AutoRestartRate": _SYSTEMD,
        "Background": "the daemon stays in the foreground, where systemd wants it",
        "ExternalIgnoreList": "it silences a warning that gatepost does not write; nobody is let in by it",
        "LogResults LogWhy SyslogSuccess": "every message has one line with its results and the reason",
        "MultipleSignatures": "every line of the signing table that fits the sender signs",
        "QueryCache": "answers are kept in memory as long as they are good; see dns.cache_size",
        "SignatureAlgorithm": "the algorithm follows from the key: rsa-sha256 or ed25519-sha256",
    },
    meaningless={
        "ChangeRootDirectory": "systemd shuts the daemon in",
        "DisableCryptoInit": "a matter of OpenDKIM's libraries",
        "DNSConnect": "TCP is used where an answer does not fit into UDP",
        "EnableCoredumps": _SYSTEMD,
        "KeepTemporaryFiles TemporaryDirectory DiagnosticDirectory": _STREAMED,
        "MilterDebug": "log.level: debug, or gatepost record, show the dialogue with Postfix",
        "PidFile": _SYSTEMD,
        "ResolverConfiguration ResolverTracing": "the resolver is gatepost's own: name servers in dns.nameservers",
        "SoftStart": "there is no database to wait for",
        "StrictTestMode": "there is no such test mode; gatepost verify FILE looks at a message",
        "Syslog SyslogFacility SyslogName": _LOG,
        "TestDNSData TestPublicKeys": "for tests there is dns.zone, a file of fixed answers",
        "TrustAnchorFile": _DNSSEC,
        "UserID": "the units say who runs: gatepost-sign what signs, gatepost the others",
        "WeakSyntaxChecks": "what cannot be read gives permerror, and the message goes on",
    },
    unsupported={
        "ADSPAction ADSPDiscard ADSPNoSuchDomain SendADSPReports UseSSPDeny": _ADSP,
        "AuthservIDWithJobID": "authserv_id is the same in every message: readers could not know it otherwise",
        "BodyLengthDB BodyLengths MaximumSignedBytes": _LENGTH,
        "BogusKey": "keys that the resolver finds bogus always give temperror",
        "CaptureUnknownErrors": "on_internal_error is accept or tempfail",
        "Diagnostics": "z= is never written: it copies the header into the signature",
        "DomainKeysCompat": "DomainKeys (RFC 4870) is historic, and such keys are not valid",
        "ExemptDomains": "to leave a sender alone: no line for its domain in the tables (signing);"
        " the result is only written, and nothing refused, unless an on_ option says so (verifying)",
        "FinalPolicyScript ScreenPolicyScript SetupPolicyScript StatisticsPolicyScript": _SCRIPT,
        "FixCRLF": "bare CR and LF are hashed as they are",
        "IdentityHeader IdentityHeaderRemove": _EXPERIMENT,
        "IgnoreMalformedMail": "malformed mail gets its result, permerror; required_headers says what becomes of it",
        "KeepAuthResults": "fields under our name that we did not write are always removed (RFC 8601 §5)",
        "LDAPAuthMechanism LDAPAuthName LDAPAuthRealm LDAPAuthUser LDAPBindPassword LDAPBindUser LDAPDisableCache"
        " LDAPKeepaliveIdle LDAPKeepaliveInterval LDAPKeepaliveProbes LDAPTimeout LDAPUseTLS": _SQL,
        "MTACommand ReportAddress ReportBccAddress RequestReports SendReports SMTPURI": _REPORTS,
        "Minimum": "a body that is signed in part gives policy, whatever the part; partial_body: accept takes it",
        "NoHeaderB": "header.b always tells the signatures of a message apart (RFC 6008)",
        "POPDBFile": "POP before SMTP is not supported: users log in, and what they send is signed",
        "RedirectFailuresTo": "mail is never sent elsewhere; on_fail: quarantine holds it",
        "RemoveARAll": "fields of other names are left alone: they are theirs (RFC 8601 §5)",
        "ReplaceHeaders ReplaceRules": "the header is signed as it is: have the milter stand behind what rewrites it",
        "ResignAll ResignMailTo": _EXPERIMENT,
        "SelectCanonicalizationHeader": "a header field has no say in how a message is signed",
        "SenderMacro": "the sender is who the header names; see sender_headers",
        "SoftwareHeader X-Header": "no field tells what software runs here",
        "Statistics StatisticsName StatisticsPrefix AnonymousStatistics": _STATISTICS,
        "TrustSignaturesFrom": "all signatures are verified; DMARC decides whose count",
        "UnprotectedKey": "a key counts without DNSSEC too; whether it had it is noted (dns.sec)",
        "VBR-Certifiers VBR-PurgeFields VBR-TrustedCertifiers VBR-TrustedCertifiersOnly VBR-Type": _VBR,
    },
)
