"""All options of policyd-spf.conf(5)."""

from __future__ import annotations

from gatepost.importing.catalogue import Catalogue

_ONE_BUDGET = "all look-ups for one message share dns.message_timeout, those for allow: included"
_MILTER = "an option of the SPF milter; the service is a policy service"
_RESTRICTION = "an answer is one action: put the restriction behind the service in Postfix, for all mail"

OPTIONS = Catalogue(
    folds=False,
    carried={
        "Authserv_Id": "`authserv_id`, one for all daemons",
        "Domain_Whitelist": "`allow.domains`",
        "Domain_Whitelist_PTR": "`allow.ptr`",
        "HELO_Whitelist": "`allow.helo`",
        "HELO_reject": "`helo_reject`",
        "Header_Type": "`header`",
        "Hide_Receiver": "`hide_receiver`",
        "Lookup_Time": "`dns.message_timeout`, for all daemons",
        "Mail_From_reject": "`mail_from_reject`",
        "No_Mail": "`reject_only_no_mail`",
        "Per_User": "`overrides`, an entry for each recipient",
        "PermError_reject": "`permerror_reject`",
        "Reason_Message": "`reason`, with gatepost's placeholders",
        "TempError_Defer": "`temperror_defer`",
        "TestOnly defaultSeedOnly": "`dry_run`; 0 there is yes here",
        "Whitelist": "`allow.addresses`",
        "skip_addresses": "`skip_addresses`",
    },
    always={
        "QueueID": "the queue id stands in the log line, where Postfix gives it",
        "SPF_Enhanced_Status_Codes": "refusals have the codes of RFC 7372",
        "Void_Limit": "two void look-ups, as RFC 7208 §4.6.4 has it",
        "Whitelist_Lookup_Time": _ONE_BUDGET,
    },
    meaningless={
        "InternalHosts": "trusted_networks and users who log in are never checked",
        "IntHosts MacroList PidFile Socket UMask UserID": _MILTER,
        "Mock": "for a Postfix that hides the first field from milters: update it (gatepost names the versions)",
        "debugLevel": "every message has one line with its result; log.level: debug says more",
    },
    unsupported={
        "HELO_pass_restriction Mail_From_pass_restriction": _RESTRICTION,
        "Prospective": "gatepost spf IP FROM HELO shows what others would make of mail from an address",
        "Reject_Not_Pass_Domains": "refuse by the result alone: mail_from_reject: softfail, for all or in overrides",
    },
)
