"""The DMARC Policy Record (§4.7, §4.8)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

MAX_RECORD = 8 * 1024
"""Octets of a record that are read."""


class Policy(StrEnum):
    """A Domain Owner Assessment Policy (§3.2.8), from mildest to strictest."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Record:
    """A DMARC Policy Record.

    ``policy`` (p), ``subdomain_policy`` (sp) and ``nonexistent_policy`` (np) are
    None where absent. ``psd`` is "y", "n" or "u". ``testing`` is t=y.
    ``usable`` is False where the policy is missing or broken and nobody asks
    for reports: then DMARC does not apply (§4.10.1). ``percent`` is pct, which
    RFC 9989 ignores and RFC 7489 §6.6.4 applies.
    """

    policy: Policy | None = None
    subdomain_policy: Policy | None = None
    nonexistent_policy: Policy | None = None
    psd: str = "u"
    testing: bool = False
    strict_dkim: bool = False
    strict_spf: bool = False
    aggregate_uris: tuple[str, ...] = ()
    failure_uris: tuple[str, ...] = ()
    failure_options: str = "0"
    percent: int = 100
    usable: bool = True


_VERSION = re.compile(r"[vV][ \t]*=[ \t]*DMARC1[ \t]*")
_URI = re.compile(r"[a-z][a-z0-9+.-]*:[^\s,!]+", re.IGNORECASE)
_FAILURE_OPTIONS = re.compile(r"[01ds](?::[01ds])*", re.IGNORECASE)


def parse_record(text: bytes) -> Record | None:
    """Read one TXT record, its strings joined. None for what is no DMARC record; never raises.

    Unknown tags, and names and values that break their syntax, are passed over
    (§4.8); a tag that stands twice, or a value without a name, spoils the list
    (RFC 6376 §3.2).
    """
    if len(text) > MAX_RECORD:
        return None
    version, *specs = text.decode("latin-1").strip(" \t").split(";")
    # §4.7, v: first in the list, its value in just this case.
    if not _VERSION.fullmatch(version):
        return None
    tags: dict[str, str] = {}
    for spec in specs:
        name, equals, value = (part.strip(" \t") for part in spec.partition("="))
        if not equals:
            continue
        if not name or name.lower() in tags:
            return None
        tags[name.lower()] = value
    return _record(tags)


def _record(tags: dict[str, str]) -> Record:
    reports = _uris(tags.get("rua", ""))
    policies = {name: _policy(tags[name]) for name in ("p", "sp", "np") if name in tags}
    usable = True
    if "p" not in policies or None in policies.values():
        # §4.10.1: without a sound policy, whoever asks for reports gets p=none, and others no DMARC at all.
        policies = {"p": Policy.NONE}
        usable = bool(reports)
    percent = tags.get("pct", "")
    return Record(
        policy=policies["p"],
        subdomain_policy=policies.get("sp"),
        nonexistent_policy=policies.get("np"),
        psd=_one_of(tags.get("psd", ""), "ynu", "u"),
        testing=_one_of(tags.get("t", ""), "yn", "n") == "y",
        strict_dkim=_one_of(tags.get("adkim", ""), "rs", "r") == "s",
        strict_spf=_one_of(tags.get("aspf", ""), "rs", "r") == "s",
        aggregate_uris=reports,
        failure_uris=_uris(tags.get("ruf", "")),
        failure_options=tags["fo"].lower() if _FAILURE_OPTIONS.fullmatch(tags.get("fo", "")) else "0",
        percent=int(percent) if percent.isascii() and percent.isdigit() and len(percent) < 4 else 100,
        usable=usable,
    )


def _policy(value: str) -> Policy | None:
    try:
        return Policy(value.lower())
    except ValueError:
        return None


def _one_of(value: str, choices: str, default: str) -> str:
    value = value.lower()
    return value if len(value) == 1 and value in choices else default


def _uris(value: str) -> tuple[str, ...]:
    """The well-formed URIs of a list, without the obsolete size limit behind "!" (§4.8)."""
    found = (item.strip(" \t").partition("!")[0] for item in value.split(","))
    return tuple(uri for uri in found if _URI.fullmatch(uri))
