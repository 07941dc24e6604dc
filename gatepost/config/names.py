"""Names as they stand in a configuration: domains, header fields, hosts, files."""

from __future__ import annotations

import re
from pathlib import Path

from gatepost.config.addresses import parse_network
from gatepost.config.words import quoted
from gatepost.domains import InvalidNameError, to_ascii

# RFC 5322 §2.2: printable US-ASCII without the colon. The bound is ours.
_FIELD_NAME = re.compile(r"[\x21-\x39\x3b-\x7e]{1,128}")


def parse_domain(value: object) -> str:
    """Read a domain, U-labels or A-labels, and give A-labels in lower case. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("expected a domain such as example.nl")
    try:
        return to_ascii(value.strip())
    except InvalidNameError:
        raise ValueError(f"expected a domain such as example.nl, not {quoted(value)}") from None


def parse_authserv_id(value: object) -> str:
    """Read an authserv-id: of all that RFC 8601 §2.5 allows, what looks like a host name.

    Gives it in lower case. Raises ValueError.
    """
    if not isinstance(value, str):
        raise ValueError("expected a host name such as mail.example.nl")
    try:
        return to_ascii(value.strip())
    except InvalidNameError:
        raise ValueError(f"expected a host name such as mail.example.nl, not {quoted(value)}") from None


def parse_field_name(value: object) -> str:
    """Read the name of a header field and give it in lower case. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("expected the name of a header field such as from")
    name = value.strip()
    if not _FIELD_NAME.fullmatch(name):
        raise ValueError(f"expected the name of a header field such as from, not {quoted(value)}")
    return name.lower()


def parse_host_pattern(value: object) -> str:
    """Read an entry of ``ignore_hosts``: an address, a network, a host name or ``.domain``, ``!`` before any.

    Gives it in its plain form: a network as parse_network writes it, a name as
    A-labels in lower case. Raises ValueError.
    """
    expected = (
        "expected an address, a network, a host name or .domain such as 192.0.2.1, 10.0.0.0/8 or .example.nl"
    )
    if not isinstance(value, str):
        raise ValueError(expected)
    text = value.strip()
    negation = "!" if text.startswith("!") else ""
    entry = text.removeprefix("!").lstrip()
    if "/" in entry or ":" in entry or entry.replace(".", "").isdigit():
        return negation + str(parse_network(entry))
    dot = "." if entry.startswith(".") else ""
    try:
        return negation + dot + to_ascii(entry.removeprefix("."))
    except InvalidNameError:
        raise ValueError(f"{expected}, not {quoted(value)}") from None


def parse_path(value: object) -> Path:
    """Read the path of a file. It has to be whole: a daemon works in no directory of the administrator's.

    Raises ValueError.
    """
    text = str(value) if isinstance(value, Path) else value
    if not isinstance(text, str):
        raise ValueError("expected the path of a file such as /etc/gatepost/gatepost.yaml")
    if not text.startswith("/") or not text.isprintable():
        raise ValueError(f"expected a whole path such as /etc/gatepost/{_base(text)}, not {quoted(text)}")
    return Path(text)


def _base(text: str) -> str:
    name = text.rpartition("/")[2]
    return name if name.isascii() and name.replace(".", "").isalnum() else "file"
