"""Domain names as mail writes them: internationalised or not, in any case, with A-labels in the end."""

from __future__ import annotations

import re
from functools import lru_cache

import idna

LONGEST_NAME = 253
"""Octets of the longest name as text, without the final dot (RFC 1035 §2.3.4)."""

# Names of mail domains, and the underscored names below them (RFC 8552). Hyphens may stand anywhere: the DNS
# carries such names, and a policy must not be escaped by using one.
_PLAIN = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")

# Mapping can make a name shorter (ignored and composed characters), but never that much.
_LONGEST_UNMAPPED = 4 * LONGEST_NAME


class InvalidNameError(ValueError):
    """The text is no name that the DNS could carry. The message says why, in one line, without the name."""


@lru_cache(maxsize=4096)
def to_ascii(domain: str) -> str:
    """Give *domain* with A-labels (RFC 5890 §2.3.2.1), in lower case, without a final dot.

    U-labels are mapped by UTS 46 and checked by IDNA 2008.
    Labels that are ASCII already are taken as they are, underscores included.
    Raises :class:`InvalidNameError` for what is no domain.
    """
    if domain.isascii():
        name = domain.lower().removesuffix(".")
    elif len(domain) > _LONGEST_UNMAPPED:
        raise InvalidNameError("longer than 253 octets")
    else:
        name = _a_labels(domain)
    if len(name) > LONGEST_NAME:
        raise InvalidNameError("longer than 253 octets")
    if _PLAIN.fullmatch(name) is None:
        raise InvalidNameError("not a domain name")
    return name


def _a_labels(domain: str) -> str:
    """Map the U-labels of *domain*; raises InvalidNameError."""
    try:
        mapped = idna.uts46_remap(domain, std3_rules=False).removesuffix(".")
        labels = [
            label if label.isascii() else idna.alabel(label).decode("ascii") for label in mapped.split(".")
        ]
    except UnicodeError:
        # idna's own message holds the name, which may hold anything.
        raise InvalidNameError("not an internationalized domain name (RFC 5891)") from None
    return ".".join(labels)
