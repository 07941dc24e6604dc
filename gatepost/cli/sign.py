"""``gatepost sign``: a saved message, signed as dkim-sign would sign it for one of our users."""

from __future__ import annotations

import argparse
import errno
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from gatepost.cli.asking import add_optional_config
from gatepost.cli.signed import Signed, sign_saved
from gatepost.cli.signers import Signers, signers
from gatepost.cli.status import FINE, NOT_IN_ORDER, USAGE, UsageError
from gatepost.cli.terminal import visible
from gatepost.config.addresses import SocketAddress
from gatepost.config.dkim_settings import DkimSign, SigningKeyEntry
from gatepost.config.errors import ConfigError
from gatepost.config.words import listed
from gatepost.dkim.keys.entries import ANY
from gatepost.dkim.keys.names import parse_domain, parse_selector
from gatepost.dkim.keys.sources import KeySources, build
from gatepost.examine.saved import Saved, read_saved
from gatepost.message import HeaderField

EXAMPLE = """gatepost sign message.eml > signed.eml
  gatepost sign message.eml --daemon dkim-sign --fields
  gatepost sign - --domain example.nl --selector mail --file mail.private < message.eml"""
EXIT_STATUS = (
    "0 the message is signed; 1 it is not, and standard error says why; 2 wrong arguments or a file "
    "that cannot be read; 78 the configuration cannot be used"
)

_ANY_SOCKET = [SocketAddress.parse("inet:1@127.0.0.1")]
_IN_MEMORY = 1024 * 1024


class _Signer(NamedTuple):
    """A signing daemon: its name, "" for none of the configuration, its options, its keys, and our own name."""

    name: str
    settings: DkimSign
    keys: KeySources
    authserv_id: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("message", metavar="FILE", help="the message as it was saved; - is standard input")
    parser.add_argument("--daemon", metavar="NAME", help="which signing daemon, where there are several")
    parser.add_argument("--domain", metavar="DOMAIN", help="sign as this domain (d=), whoever the author")
    parser.add_argument("--selector", metavar="SELECTOR", help="with --domain: s=")
    parser.add_argument("--file", type=Path, metavar="FILE", help="with --domain: the private key")
    add_optional_config(parser, "the keys and options of dkim-sign")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--fields", action="store_true", help="print the new header fields alone")
    output.add_argument(
        "--json", action="store_true", help="report as one JSON object, in place of the message"
    )


def main(arguments: argparse.Namespace) -> int:
    """Sign, print, and give 0, 1 or 2."""
    try:
        configured = signers(arguments.config) if not arguments.file else Signers(None, {})
        signer = _signer(arguments, configured)
        with _opened(arguments.message) as stream:
            saved = read_saved(stream, signer.settings.limits)
            if not (saved.headers or saved.stray or saved.oversized):
                raise UsageError(f"{visible(arguments.message)}: there is no message in it")
            signed = sign_saved(saved, *signer, now=time.time())
            _tell(signed, saved)
            if arguments.json:
                print(json.dumps(_json(signed), indent=2))
            elif signed.keys and arguments.fields:
                _write_header(signed.added, b"\n")
            elif signed.keys:
                _write_message(stream, signer.settings, signed)
    except UsageError as error:
        return _complain(str(error))
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        return _complain(f"{visible(arguments.message)}: {error.strerror}")
    return FINE if signed.keys else NOT_IN_ORDER


# -- with which keys


def _signer(arguments: argparse.Namespace, configured: Signers) -> _Signer:
    """Who signs. Raises UsageError, ConfigError."""
    given = [arguments.domain, arguments.selector, arguments.file]
    if any(each is not None for each in given):
        if None in given or arguments.daemon is not None:
            raise UsageError("--domain, --selector and --file go together, and without --daemon")
        return _from_file(arguments)
    if configured.config is None:
        raise UsageError("there is no configuration: name --domain, --selector and --file, or --config FILE")
    names = list(configured.keys)
    name = arguments.daemon or (names[0] if len(names) == 1 else None)
    if not names:
        raise UsageError("no daemon of the kind dkim-sign is configured")
    if name is None:
        raise UsageError(f"there are several signing daemons: add --daemon {listed(names, 'or')}")
    if name not in names:
        raise UsageError(f"no signing daemon is called {visible(name)} (there is {listed(names, 'and')})")
    return _Signer(name, configured.settings(name), configured.keys[name], configured.config.authserv_id)


def _from_file(arguments: argparse.Namespace) -> _Signer:
    try:
        domain, selector = parse_domain(arguments.domain), parse_selector(arguments.selector)
    except ValueError as error:
        raise UsageError(str(error)) from None
    entry = SigningKeyEntry(
        domain=ANY, signing_domain=domain, selector=selector, file=arguments.file.absolute()
    )
    settings = DkimSign(socket=_ANY_SOCKET, keys=[entry], require_safe_keys=False)
    try:
        return _Signer("", settings, build(settings), domain)
    except ConfigError as error:
        raise UsageError("; ".join(problem.text for problem in error.problems)) from None


# -- in and out


def _opened(file: str) -> AbstractContextManager[BinaryIO]:
    """The file to read, which is read twice: what cannot go back to its beginning is copied. Raises OSError."""
    try:
        stream = sys.stdin.buffer if file == "-" else open(file, "rb")  # noqa: SIM115
    except ValueError:
        # A NUL in the name.
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None
    if file != "-" and stream.seekable():
        return cast("AbstractContextManager[BinaryIO]", stream)
    copy = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
    shutil.copyfileobj(stream, copy)
    copy.seek(0)
    if file != "-":
        stream.close()
    return cast("AbstractContextManager[BinaryIO]", copy)


def _write_message(stream: BinaryIO, settings: DkimSign, signed: Signed) -> None:
    """The whole message, its body octet for octet as it came."""
    stream.seek(0)
    end = b"\r\n" if stream.readline(settings.limits.header_bytes).endswith(b"\r\n") else b"\n"
    stream.seek(0)
    again = read_saved(stream, settings.limits)
    _write_header(signed.headers, end)
    out = sys.stdout.buffer
    out.write(end)
    for chunk in again.octets():
        out.write(chunk)
    out.flush()


def _write_header(fields: Iterable[HeaderField], end: bytes) -> None:
    sys.stdout.flush()
    out = sys.stdout.buffer
    for name, value in fields:
        out.write(name + b":" + value.replace(b"\n", end) + end)
    out.flush()


# -- what is said


def _tell(signed: Signed, saved: Saved) -> None:
    """Which keys and why, or why none; on standard error, beside the message."""
    if saved.mbox:
        _say('the "From " line of a mailbox on top is left out')
    if saved.stray:
        _say(f"line {saved.stray} is no header field, so the body begins with it")
    for key in signed.keys:
        _say(f"signed as {key.domain} with selector {key.selector} ({key.algorithm})")
    if signed.rule:
        _say(f"the keys of {signed.sender} come from {signed.rule}")
    if not signed.keys:
        _say(f"not signed: {signed.reason}")


def _say(text: str) -> None:
    print(f"gatepost sign: {visible(text)}", file=sys.stderr)


def _json(signed: Signed) -> dict[str, object]:
    return {
        "signed": bool(signed.keys),
        "reason": signed.reason or None,
        "sender": signed.sender or None,
        "rule": signed.rule or None,
        "keys": [
            {"domain": key.domain, "selector": key.selector, "algorithm": key.algorithm}
            for key in signed.keys
        ],
        "fields": [f"{_text(name)}:{_text(value)}" for name, value in signed.added],
    }


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _complain(text: str) -> int:
    _say(text)
    return USAGE
