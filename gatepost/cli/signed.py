"""What dkim-sign makes of a saved message from one of our users."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gatepost.config.dkim_settings import DkimSign
from gatepost.dkim.keys.sources import KeySources
from gatepost.dkim.signing_key import SigningKey
from gatepost.examine.saved import Saved
from gatepost.log import Logger
from gatepost.message import Envelope, HeaderField, Message
from gatepost.metrics import Metrics
from gatepost.networks import Networks
from milters.dkim_sign import DkimSignHandler, SigningExamination, Tools
from milters.handler import Change, DeleteHeader, InsertHeader

_USER = Envelope(macros={"auth_authen": "gatepost sign"})


@dataclass(frozen=True, slots=True)
class Signed:
    """The outcome.

    ``headers`` is the whole new header, ``added`` its new fields, topmost
    first; without a signature there are none, and ``reason`` says why.
    ``sender`` is the domain that was looked for, ``rule`` where in the
    configuration its ``keys`` come from, "" for keys from elsewhere.
    """

    headers: Sequence[HeaderField] = ()
    added: Sequence[HeaderField] = ()
    keys: Sequence[SigningKey] = ()
    sender: str = ""
    rule: str = ""
    reason: str = ""


def sign_saved(
    saved: Saved, name: str, settings: DkimSign, keys: KeySources, authserv_id: str, now: float
) -> Signed:
    """Let the daemon called *name* sign *saved*, whose body is read to its end.

    *now* is in seconds since 1970. Raises OSError where the file cannot be read.
    """
    tools = Tools(
        authserv_id=authserv_id,
        trusted=Networks([]),
        keys=keys,
        log=Logger(level="error", daemon=name),
        metrics=Metrics(name),
        clock=lambda: now,
    )
    message = Message(_USER, saved.headers, saved.oversized)
    examination = DkimSignHandler(name, settings, tools).examine(message)
    # ignore_hosts knows clients, and here is none.
    assert isinstance(examination, SigningExamination)
    for chunk in saved.body():
        if not examination.body(chunk):
            break
    verdict = examination.finish()
    mailbox = examination.mailbox
    sender = mailbox.domain if mailbox else ""
    reason = examination.failure or examination.reason
    if reason:
        return Signed(sender=sender, reason=reason)
    added = [
        HeaderField(change.name, b" " + change.value)
        for change in reversed(verdict.changes)
        if isinstance(change, InsertHeader)
    ]
    return Signed(
        headers=[*added, *_kept(saved.headers, verdict.changes)],
        added=added,
        keys=examination.keys,
        sender=sender,
        rule=keys.explain(mailbox.local_part, mailbox.domain) if mailbox and name else "",
    )


def _kept(headers: Iterable[HeaderField], changes: Iterable[Change]) -> list[HeaderField]:
    """The fields that are not deleted."""
    deleted = {(change.name.lower(), change.index) for change in changes if isinstance(change, DeleteHeader)}
    counts: dict[bytes, int] = {}
    kept = []
    for header in headers:
        name = header.name.lower()
        counts[name] = counts.get(name, 0) + 1
        if (name, counts[name]) not in deleted:
            kept.append(header)
    return kept
