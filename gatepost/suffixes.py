"""Public suffixes: domains below which strangers register (publicsuffix.org).

To DKIM only the list's first part counts, the registries' suffixes. What
companies list in its second part (``github.io``) is a domain like any other: its
owner can answer for it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from publicsuffixlist import PublicSuffixList


def public_suffix_test() -> Callable[[str], bool]:
    """A function that tells of a domain (A-labels, lower case) whether it is a public suffix or a single label."""
    suffixes = PublicSuffixList(only_icann=True)

    @lru_cache(maxsize=4096)
    def is_public_suffix(domain: str) -> bool:
        return "." not in domain or suffixes.privatesuffix(domain) is None

    return is_public_suffix


def organizational_domain_by_list() -> Callable[[str], str]:
    """A function that gives a domain's organizational domain as RFC 7489 §3.2 does, by the whole list.

    A public suffix is its own organizational domain.
    """
    suffixes = PublicSuffixList()

    @lru_cache(maxsize=4096)
    def organizational_domain(domain: str) -> str:
        return suffixes.privatesuffix(domain) or domain

    return organizational_domain
