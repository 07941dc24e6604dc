"""``gatepost keygen``: make a key that signs, and say what to publish and to configure."""

from __future__ import annotations

import argparse
import grp
import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from gatepost.cli.asking import add_optional_config, optional_config
from gatepost.cli.options import add_json
from gatepost.cli.status import FINE, NOT_IN_ORDER, USAGE
from gatepost.cli.terminal import styled, visible, wrapped
from gatepost.config.dkim_settings import DkimSign
from gatepost.config.settings import Config
from gatepost.dkim.keys.keydata import PrivateKey
from gatepost.dkim.keys.make import make_ed25519, make_rsa, pem, write_key
from gatepost.dkim.keys.names import parse_domain, parse_selector
from gatepost.dkim.publish import bind, nsupdate, record_name, record_text
from gatepost.dkim.record import MAX_RSA_BITS
from gatepost.service.daemon import ServiceError
from gatepost.service.privileges import Identity, identity

EXAMPLE = """gatepost keygen example.nl --selector 2026a
  gatepost keygen example.nl --selector 2026e --type ed25519 --format nsupdate
  gatepost keygen example.nl --output /etc/gatepost/keys/example.nl/mail.private --testing"""
EXIT_STATUS = (
    "0 the key is made, 1 it could not be, or there is one already, 2 wrong arguments, 78 the "
    "configuration cannot be used"
)

KEYS = Path("/etc/gatepost/keys")
MIN_BITS = 2048
_FORMATS = ("bind", "line", "nsupdate")
_TITLES = {
    "bind": "The record, for a zone file:",
    "line": "The same on one line, for a web form (name, then value):",
    "nsupdate": "The same for nsupdate:",
}


class Made(NamedTuple):
    """A key that was made, where it lies, and its record."""

    domain: str
    selector: str
    file: Path
    type: str
    name: str
    text: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("domain", metavar="DOMAIN", help="the domain to sign for; may be internationalized")
    parser.add_argument("--selector", default="mail", metavar="SELECTOR", help="s= (default: %(default)s)")
    parser.add_argument(
        "--type", choices=("rsa", "ed25519"), default="rsa", help="kind of key (default: %(default)s)"
    )
    parser.add_argument(
        "--bits",
        type=_bits,
        metavar="N",
        help=f"size of an RSA key, {MIN_BITS} at least (default: {MIN_BITS})",
    )
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--directory",
        type=Path,
        default=KEYS,
        metavar="DIR",
        help="where keys lie; the file becomes DIR/DOMAIN/SELECTOR.private (default: %(default)s)",
    )
    place.add_argument("--output", type=Path, metavar="FILE", help="the file itself")
    parser.add_argument(
        "--format", choices=_FORMATS, help="print the record in this form only, and nothing else"
    )
    parser.add_argument("--testing", action="store_true", help="publish the key as in testing (t=y)")
    parser.add_argument("--force", action="store_true", help="replace a key file that is there already")
    add_optional_config(parser, "the user that the key is to belong to")
    add_json(parser)


def _bits(text: str) -> int:
    bits = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if bits < MIN_BITS:
        raise argparse.ArgumentTypeError(f"shorter keys than {MIN_BITS} bits are not made (RFC 8301 §3.2)")
    if bits > MAX_RSA_BITS:
        raise argparse.ArgumentTypeError(f"verifiers refuse more than {MAX_RSA_BITS} bits")
    return bits


def main(arguments: argparse.Namespace) -> int:
    """Make the key, report, and give 0, 1 or 2."""
    if arguments.bits is not None and arguments.type != "rsa":
        return _complain("--bits is for RSA: an Ed25519 key has one size", USAGE)
    try:
        domain, selector = parse_domain(arguments.domain), parse_selector(arguments.selector)
    except ValueError as error:
        return _complain(str(error), USAGE)
    file: Path = arguments.output or arguments.directory / domain / f"{selector}.private"
    config = optional_config(arguments.config)
    if os.path.lexists(file) and not arguments.force:
        return _exists(file)
    try:
        owner = _owner(config)
        key = make_ed25519() if arguments.type == "ed25519" else make_rsa(arguments.bits or MIN_BITS)
        group = _group(file) if owner is None else None
        write_key(file, pem(key), _numbers(owner, group), shared=group is not None, replace=arguments.force)
    except ServiceError as error:
        return _complain(str(error), NOT_IN_ORDER)
    except FileExistsError:
        return _exists(file)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no name of a file"
        return _complain(f"{visible(str(file))}: {why}", NOT_IN_ORDER)
    made = _made(domain, selector, file.absolute(), key, testing=arguments.testing)
    if arguments.json:
        print(json.dumps(_json(made, arguments.testing), indent=2))
    elif arguments.format:
        print(_in_format(made, arguments.format))
        print(f"gatepost keygen: the key is in {made.file}", file=sys.stderr)
    else:
        for line in _lines(made, _readers(owner, group), testing=arguments.testing):
            print(line)
    return FINE


def _owner(config: Config | None) -> Identity | None:
    """Whom the daemons run as that sign. Raises ServiceError."""
    if config is None or os.geteuid() != 0:
        return None
    signing = [each for each in config.daemons.values() if isinstance(each, DkimSign)]
    first = signing[0] if signing else None
    return identity(
        (first.user if first else None) or config.user, (first.group if first else None) or config.group
    )


def _group(file: Path) -> int | None:
    """The group that the directory of keys is for, where root made it so (tmpfiles.d does): who reads it signs.

    None where we are not root, and where the directory is anybody's or nobody else's.
    """
    if os.geteuid() != 0:
        return None
    there = next(each for each in file.absolute().parents if each.exists())
    status = there.stat()
    kept = status.st_uid == 0 and status.st_gid != 0 and stat.S_IMODE(status.st_mode) & 0o077 == 0o050
    return status.st_gid if kept else None


def _numbers(owner: Identity | None, group: int | None) -> tuple[int, int] | None:
    if owner is not None:
        return owner.uid, owner.gid
    return None if group is None else (0, group)


def _readers(owner: Identity | None, group: int | None) -> str:
    if group is not None:
        return f"root and the group {_group_name(group)}"
    return f"{owner.name if owner else 'its owner'} alone"


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _made(domain: str, selector: str, file: Path, key: PrivateKey, *, testing: bool) -> Made:
    public = key.public_key()
    size = getattr(public, "key_size", None)
    kind = f"RSA, {size} bits" if size else "Ed25519"
    return Made(
        domain, selector, file, kind, record_name(domain, selector), record_text(public, testing=testing)
    )


def _in_format(made: Made, form: str) -> str:
    match form:
        case "bind":
            return bind(made.name, made.text)
        case "line":
            return f"{made.name} {made.text}"
        case _:
            return nsupdate(made.name, made.text)


def _entry(made: Made) -> str:
    return f"- {{domain: {made.domain}, selector: {made.selector}, file: {_yaml(str(made.file))}}}"


def _yaml(text: str) -> str:
    """*text* bare where that is safe inside braces."""
    plain = text.isascii() and not set(text) & set(" ,:{}[]#&*!|>'\"%@`\\")
    return text if plain else json.dumps(text)


def _lines(made: Made, readers: str, *, testing: bool) -> Iterator[str]:
    yield styled(f"{made.file}: the private key ({made.type}), readable by {readers}", "bold", sys.stdout)
    for form in _FORMATS:
        yield ""
        yield _TITLES[form]
        yield ""
        yield from (f"  {line}" for line in _in_format(made, form).split("\n"))
    yield ""
    yield "The entry for gatepost.yaml, below keys: of dkim-sign:"
    yield ""
    yield f"  {_entry(made)}"
    yield ""
    yield "What to do next:"
    for number, text in enumerate(_next(made, testing), 1):
        yield from wrapped(text, f"  {number}. ")


def _next(made: Made, testing: bool) -> Iterator[str]:
    yield "Publish the record, and wait until the DNS has it everywhere."
    yield f"gatepost testkey {made.domain} --selector {made.selector} --file {made.file} says when it is there."
    yield "Put the entry into gatepost.yaml; gatepost check reads it, a reload of dkim-sign uses it."
    if made.type == "Ed25519":
        yield (
            "Let an RSA key with another selector stand beside it: large receivers do not verify Ed25519 "
            "(RFC 8463 §3), and see mail that is signed with it alone as unsigned."
        )
    if testing:
        yield "When all is well, publish the record again without t=y: until then nobody relies on the key."


def _json(made: Made, testing: bool) -> dict[str, object]:
    return {
        "domain": made.domain,
        "selector": made.selector,
        "file": str(made.file),
        "key": made.type,
        "testing": testing,
        "name": made.name,
        "record": made.text,
        **{form: _in_format(made, form) for form in ("bind", "nsupdate")},
        "entry": {"domain": made.domain, "selector": made.selector, "file": str(made.file)},
    }


def _exists(file: Path) -> int:
    return _complain(
        f"{visible(str(file))} is there already: choose another --selector, or replace it with --force",
        NOT_IN_ORDER,
    )


def _complain(text: str, status: int) -> int:
    print(f"gatepost keygen: {text}", file=sys.stderr)
    return status
