"""A DMARC record in words (§4.7): what each tag says, and what is wrong with it.

``record`` reads what counts, and passes over the rest; whoever wrote the record
wants to know what was passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from gatepost.dmarc.record import MAX_RECORD, Policy, Record, parse_record

_ALMOST = re.compile(r"\W*+v\W*+dmarc", re.IGNORECASE)
_URI = re.compile(r"[a-z][a-z0-9+.-]*:[^\s,!]+", re.IGNORECASE)
_MAILBOX = re.compile(r"mailto:[^@\s?]+@[^@\s?]+\.[^@\s?]+(?:\?\S*)?", re.IGNORECASE)
_FAILURE_OPTIONS = re.compile(r"[01ds](?::[01ds])*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag: its name in lower case, its value as written, and what that means.

    ``flaw`` says what is wrong with it, "" where nothing is.
    """

    name: str
    value: str
    meaning: str
    flaw: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """One TXT record of a name that DMARC asks for.

    ``record`` is None for what is no DMARC record; ``problem`` then tells why,
    where it was meant to be one. ``flaws`` are mistakes of a record that counts.
    """

    text: str
    record: Record | None = None
    problem: str = ""
    tags: tuple[Tag, ...] = ()
    flaws: tuple[str, ...] = ()


def explain(octets: bytes, *, historic: bool = False) -> Text:
    """Read one TXT record, its strings joined; *historic* goes by RFC 7489. Never raises."""
    text = octets.decode("latin-1")
    record = parse_record(octets)
    if record is None:
        return Text(text, problem=_why_none(text))
    tags: list[Tag] = []
    flaws: list[str] = []
    for spec in text.strip(" \t").split(";"):
        name, equals, value = (part.strip(" \t") for part in spec.partition("="))
        if equals:
            tags.append(_tag(name.lower(), value, historic))
        elif name:
            flaws.append(f'"{name}" has no "=" and is passed over')
    flaws += [tag.flaw for tag in tags if tag.flaw]
    flaws += _together(record, tags, historic)
    return Text(text, record, "", tuple(tags), tuple(flaws))


def _why_none(text: str) -> str:
    """Why a text is no record that looks as if it was meant for one; "" for one that does not."""
    if not _ALMOST.match(text):
        return ""
    if len(text) > MAX_RECORD:
        return f"longer than {MAX_RECORD // 1024} kB, so it is not read"
    version = text.partition(";")[0].strip(" \t")
    name, _, value = (part.strip(" \t") for part in version.partition("="))
    if name.lower() != "v" or value != "DMARC1":
        if name in ("v", "V") and value.startswith("DMARC1"):
            return 'no ";" after v=DMARC1, so it is no DMARC record'
        return "it has to begin with v=DMARC1, in capitals, so it is no DMARC record"
    return "a tag stands twice or has no name, which spoils the record"


def _together(record: Record, tags: list[Tag], historic: bool) -> list[str]:
    """What is wrong with the tags taken together."""
    names = {tag.name for tag in tags}
    broken = "p" not in names or any(tag.flaw for tag in tags if tag.name in ("p", "sp", "np"))
    flaws = []
    if "p" not in names:
        flaws.append("p= is missing")
    if broken and record.usable:
        flaws.append("without a sound policy the record counts as p=none")
    elif broken:
        flaws.append("without a sound policy and a sound rua= the record does not count")
    if "fo" in names and "ruf" not in names:
        flaws.append("fo= has no meaning without ruf=")
    if record.testing and not historic and _mildest(record):
        flaws.append("t=y changes nothing where the policy is none")
    if not broken and record.policy is Policy.NONE and not record.aggregate_uris:
        flaws.append("p=none without rua=: nothing is refused, and nobody is told of anything")
    return flaws


def _mildest(record: Record) -> bool:
    policies = (record.policy, record.subdomain_policy, record.nonexistent_policy)
    return all(policy in (None, Policy.NONE) for policy in policies)


def _tag(name: str, value: str, historic: bool) -> Tag:
    explainer = _TAGS.get(name)
    if explainer is None:
        return Tag(name, value, "unknown, passed over", f"{name}= is no tag of DMARC")
    obsolete = ("t", "np", "psd") if historic else ("pct", "rf", "ri")
    if name in obsolete:
        source = "RFC 7489" if historic else "RFC 9989"
        flaw = "" if historic else f"{name}= is obsolete: {source} does not know it"
        return Tag(name, value, f"not known to {source}, passed over", flaw)
    meaning, flaw = explainer(value)
    return Tag(name, value, meaning, flaw and f"{name}={value}: {flaw}")


def _version(_: str) -> tuple[str, str]:
    return "this is a DMARC record", ""


_WISHES = {"none": "no wish about", "quarantine": "be suspicious of", "reject": "refuse"}


def _policy(mail: str) -> Callable[[str], tuple[str, str]]:
    def explained(value: str) -> tuple[str, str]:
        wish = _WISHES.get(value.lower())
        if wish is None:
            return "no policy", "expected none, quarantine or reject"
        return f"{value.lower()}: {wish} {mail} that fails", ""

    return explained


def _choice(default: str, **meanings: str) -> Callable[[str], tuple[str, str]]:
    def explained(value: str) -> tuple[str, str]:
        meaning = meanings.get(value.lower())
        if meaning is None:
            return f"passed over: {meanings[default]}", f"expected {' or '.join(meanings)}"
        return meaning, ""

    return explained


def _reports(what: str) -> Callable[[str], tuple[str, str]]:
    def explained(value: str) -> tuple[str, str]:
        uris, broken = [], []
        for item in value.split(","):
            uri, mark, _ = item.strip(" \t").partition("!")
            if not _URI.fullmatch(uri):
                broken.append(f'"{uri}" is no URI' + (", mailto: is missing" if "@" in uri else ""))
                continue
            uris.append(uri)
            if mark:
                broken.append('a size limit ("!") is obsolete')
            if not uri.lower().startswith("mailto:"):
                broken.append(f"{uri.partition(':')[0]}: is hardly used, reports go by mailto:")
            elif not _MAILBOX.fullmatch(uri):
                broken.append(f"{uri} is no address")
        return f"{what} to {', '.join(uris)}" if uris else f"{what} to nobody", "; ".join(broken)

    return explained


def _failure_options(value: str) -> tuple[str, str]:
    if not _FAILURE_OPTIONS.fullmatch(value):
        return "passed over: report where nothing aligned passes", "expected 0, 1, d or s, parted by colons"
    options = value.lower().split(":")
    flaw = "0 and 1 exclude each other" if {"0", "1"} <= set(options) else ""
    words = {
        "0": "where nothing aligned passes",
        "1": "where anything does not pass aligned",
        "d": "where a signature fails",
        "s": "where SPF fails",
    }
    return "failure reports " + ", ".join(words[option] for option in dict.fromkeys(options)), flaw


def _percent(value: str) -> tuple[str, str]:
    if not (value.isascii() and value.isdigit() and len(value) < 4 and int(value) <= 100):
        return "passed over", "expected a number from 0 to 100"
    return f"the policy is for {int(value)} % of the mail that fails, the next milder one for the rest", ""


def _unused(_: str) -> tuple[str, str]:
    return "for reports, passed over here", ""


_TAGS: dict[str, Callable[[str], tuple[str, str]]] = {
    "v": _version,
    "p": _policy("mail"),
    "sp": _policy("mail from subdomains"),
    "np": _policy("mail from missing subdomains"),
    "adkim": _choice("r", r="DKIM may align relaxed", s="DKIM has to align strictly"),
    "aspf": _choice("r", r="SPF may align relaxed", s="SPF has to align strictly"),
    "rua": _reports("aggregate reports"),
    "ruf": _reports("failure reports"),
    "fo": _failure_options,
    "t": _choice("n", y="in testing: apply the next milder policy", n="not in testing"),
    "psd": _choice(
        "u",
        y="a public suffix: others register below it",
        n="the organizational domain, for itself and all below it",
        u="not said whether it is an organizational domain",
    ),
    "pct": _percent,
    "rf": _unused,
    "ri": _unused,
}
