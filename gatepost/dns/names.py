"""Domain names as the DNS carries them, and as text again."""

from __future__ import annotations

import dns.exception
import dns.name

from gatepost.domains import InvalidNameError


def parse(name: str) -> dns.name.Name:
    r"""Read a name to look up; a final dot does not matter.

    Any ASCII character stands for itself in a label: there are no escapes, so
    that a backslash from an SPF macro (RFC 7208 §7.3) cannot make other labels.
    Raises :class:`InvalidNameError`.
    """
    try:
        labels = name.encode("ascii").lower().removesuffix(b".").split(b".")
        labels.append(b"")
        return dns.name.Name(labels)
    except UnicodeEncodeError:
        raise InvalidNameError("not ASCII") from None
    except dns.name.EmptyLabel:
        raise InvalidNameError("empty label") from None
    except dns.name.LabelTooLong:
        raise InvalidNameError("label longer than 63 octets") from None
    except dns.name.NameTooLong:
        raise InvalidNameError("longer than 253 octets") from None
    except dns.exception.DNSException as error:
        raise InvalidNameError(type(error).__name__) from None


def text(name: dns.name.Name) -> str:
    r"""Give *name* as text without the final dot, the root as "".

    Octets that are not printable ASCII, and dots inside a label, are escaped
    (RFC 4343 §2.1): the text is always safe to log.
    """
    return "" if name == dns.name.root else name.to_text(omit_final_dot=True)
