"""Domains, selectors and identities, as rules and tables write them."""

from __future__ import annotations

import re

from gatepost.config.words import quoted
from gatepost.domains import to_ascii

# RFC 6376 §3.1: sub-domains with dots between. Underscores are not in its grammar and are in use.
_SELECTOR = re.compile(
    r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_LONGEST_SELECTOR = 200

_FILE_NAME = re.compile(r"[a-z0-9_-][a-z0-9._-]*")


def parse_domain(text: str) -> str:
    """Give the domain *text* as A-labels in lower case. Raises ValueError with one line."""
    try:
        return to_ascii(text)
    except ValueError:
        raise ValueError(f"{quoted(text)} is not a domain") from None


def parse_selector(text: str) -> str:
    """Give the selector *text* in lower case (RFC 6376 §3.1). Raises ValueError with one line."""
    selector = text.lower()
    if len(selector) > _LONGEST_SELECTOR or not _SELECTOR.fullmatch(selector):
        raise ValueError(
            f"{quoted(text)} is not a selector: letters, digits and hyphens, such as mail or 2026a"
        )
    return selector


def parse_pattern(text: str) -> str:
    """Give a sender, or a pattern for senders, in lower case with its domain as A-labels.

    A label that holds a ``*`` stays as it is. Raises ValueError with one line.
    """
    pattern = text.lower().removesuffix(".")
    if pattern.isascii():
        return pattern
    local, at, domain = pattern.rpartition("@")
    try:
        labels = [label if label.isascii() else to_ascii(label) for label in domain.split(".")]
    except ValueError:
        raise ValueError(f"{quoted(text)} does not end in a domain") from None
    return local + at + ".".join(labels)


def is_file_name(domain: str) -> bool:
    """Whether *domain* can be part of a path: a sender chose it, and must not be able to choose the file."""
    return _FILE_NAME.fullmatch(domain) is not None and ".." not in domain


def superdomains(domain: str) -> list[str]:
    """The domains above *domain*, the nearest first: for a.b.c they are b.c and c."""
    found = []
    dot = domain.find(".")
    while dot >= 0:
        domain = domain[dot + 1 :]
        found.append(domain)
        dot = domain.find(".")
    return found


def parse_identity(text: str) -> str:
    """Read an i= of the form ``user@domain`` or ``@domain``; ``%`` may stand in the domain for the sender's.

    Raises ValueError with one line.
    """
    local, at, domain = text.rpartition("@")
    if not at or not local.isprintable():
        raise ValueError(f"{quoted(text)} is not an identity: @domain or user@domain")
    # Any domain will do to see that what stands around the sign makes one.
    parse_domain(domain.replace("%", "example.com"))
    return f"{local}@{domain.lower() if '%' in domain else parse_domain(domain)}"


def identity_for(identity: str, signing_domain: str, sender_domain: str) -> str:
    """Give i= for one signature: *identity* with the sender's domain put in for ``%``.

    Gives "" where its domain is neither d= nor below it: such a signature would
    be invalid (RFC 6376 §3.5), one without i= is as good as d= is.
    """
    if not identity:
        return ""
    local, _, domain = identity.rpartition("@")
    domain = domain.replace("%", sender_domain)
    if domain == signing_domain or domain.endswith("." + signing_domain):
        return f"{local}@{domain}"
    return ""
