"""The options of the DMARC daemons."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from gatepost.config.sections import Daemon
from gatepost.config.types import FilePath, HostPattern


class Dmarc(Daemon):
    """``kind: dmarc``, evaluates DMARC and, in mode enforce, acts on it."""

    kind: Literal["dmarc"] = "dmarc"
    mode: Literal["enforce", "stamp"] = "enforce"
    """``enforce`` applies policies where mail comes in; ``stamp`` only writes the result, where the first pass did
    not."""
    org_domain: Literal["tree", "psl"] = "tree"
    """How organizational domains are found: ``tree`` by the tree walk of RFC 9989, ``psl`` by the public suffix list
    as in RFC 7489 (pct then counts, and t and np do not)."""
    on_reject: Literal["reject", "quarantine", "accept"] = "reject"
    """What becomes of a message that fails under p=reject. Indirect mail goes by ``indirect_mail``."""
    on_quarantine: Literal["quarantine", "header", "accept", "reject"] = "quarantine"
    """What becomes of a message that fails under p=quarantine: Postfix's hold queue, or an X-DMARC-Quarantine field
    for the mailbox's filter, …"""
    on_temperror: Literal["accept", "tempfail"] = "accept"
    """What becomes of a message whose DNS questions were not answered."""
    bad_from: Literal["permerror", "reject"] = "permerror"
    """What becomes of a message whose From field cannot be read, or names no author or authors of several domains."""
    indirect_mail: Literal["quarantine", "accept", "reject"] = "quarantine"
    """What becomes, instead of a rejection, of mail that comes through a mailing list (List-Id and List-Post) or a
    host in ``trusted_forwarders`` (RFC 9989 §7.4)."""
    trusted_forwarders: list[HostPattern] = []
    """Hosts that forward mail to us honestly: addresses, networks, host names, ``.domain``."""
    ignore_authenticated: bool = True
    """Leave alone what SASL users send."""
    ignore_from: list[str] = []
    """Author domains, or addresses, that are not evaluated."""
    history: FilePath | None = Path("/var/lib/gatepost/dmarc.db")
    """Where mode enforce keeps one row a message for reports: an SQLite database; ``null`` for none."""
    seal: bool = True
    """Seal the result for our daemons behind a content filter."""
