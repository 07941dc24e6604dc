"""SPF results in a message's header (RFC 8601 §2.7.2, RFC 7208 §9), in replies and in log lines."""

from __future__ import annotations

import re

from gatepost.authres.result import Property, Result
from gatepost.spf.result import Identity, SpfResult, Verdict, safe

LONGEST_VALUE = 960
"""Octets of a Received-SPF field's value. The field is one line, which has at most 998 octets with its name."""

_DOT_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_WRITABLE = re.compile(r"[ -<>-~]{1,500}")
_TO_ESCAPE_IN_COMMENT = re.compile(r'[()\\"]')
_LONGEST_TEXT = 256

_SAYS = {
    Verdict.NONE: "{domain} says nothing about who may send its mail",
    Verdict.NEUTRAL: "{domain} does not say whether {ip} may send its mail",
    Verdict.PASS: "{domain} lets {ip} send its mail",
    Verdict.FAIL: "{domain} does not let {ip} send its mail",
    Verdict.SOFTFAIL: "{domain} does probably not let {ip} send its mail",
    Verdict.TEMPERROR: "the SPF record of {domain} could not be looked up",
    Verdict.PERMERROR: "the SPF record of {domain} is in error",
}


def authres_result(result: SpfResult, said: bytes) -> Result:
    """One result for Authentication-Results.

    *said* is the identity as it came over SMTP: the HELO, or MAIL FROM. There
    is a reason where there was nothing to check, or checking met an error. An
    address is cut to its domain, which RFC 8601 allows, where its local part
    has "=" (some readers would take what stands before it for a name) or cannot
    be written: without the property, nobody would know whom the result is about.
    """
    value = said.decode("utf-8", "replace")
    if result.identity is Identity.MAIL_FROM:
        local_part, _, domain = value.rpartition("@")
        if result.domain:
            domain = result.domain
        value = f"{local_part}@{domain}" if _WRITABLE.fullmatch(local_part) else domain
    return Result("spf", result.verdict, (Property("smtp", result.identity, value),), result.problem)


def received_spf(result: SpfResult, client: str, helo: bytes, mail_from: bytes, receiver: str) -> str:
    """The value of a Received-SPF field (RFC 7208 §9.1), on one line.

    *receiver* is our own name, "" if it is not to be told.
    """
    comment = _apart(f"{receiver}: {says(result, client)}" if receiver else says(result, client))
    pairs = [
        ("client-ip", client),
        ("envelope-from", _text(mail_from)),
        ("helo", _text(helo)),
        ("identity", result.identity.value),
        ("receiver", receiver),
        ("mechanism", result.mechanism),
        ("problem", result.problem),
    ]
    value = f"{result.verdict} ({_TO_ESCAPE_IN_COMMENT.sub(_escaped, comment)})"
    for key, text in pairs:
        pair = f" {key}={_value(text)};"
        if (text or key == "envelope-from") and len(value) + len(pair) <= LONGEST_VALUE:
            value += pair
    return value.removesuffix(";")


def says(result: SpfResult, client: str) -> str:
    """The verdict about *client* as a sentence in our own words."""
    if not result.domain:
        return "there is no domain to check"
    sentence = _SAYS[result.verdict].format(domain=result.domain, ip=client)
    problem = result.problem if result.verdict in (Verdict.PERMERROR, Verdict.TEMPERROR) else ""
    return f"{sentence}: {problem}" if problem else sentence


def explanation(result: SpfResult, client: str) -> str:
    """Why mail is refused: in the domain's words where it has some (RFC 7208 §8.4), or else in ours."""
    if result.verdict is Verdict.FAIL and result.explanation:
        return f"{result.domain} says: {result.explanation}"
    return says(result, client)


def _text(octets: bytes) -> str:
    return safe(octets.decode("utf-8", "replace"), _LONGEST_TEXT)


def _value(text: str) -> str:
    """A dot-atom, or a quoted string. An encoded word (RFC 2047) cannot arise: "=" and "?" are then apart."""
    if _DOT_ATOM.fullmatch(text) and "=?" not in f"={text}":
        return text
    escaped = _apart(text.replace("\\", "\\\\").replace('"', '\\"'))
    return f'"{escaped}"'


def _apart(text: str) -> str:
    return text.replace("=?", "= ?")


def _escaped(match: re.Match[str]) -> str:
    return "\\" + match[0]
