"""Writes docs/migration.md, its tables from what gatepost import knows of the peers' options.

.venv/bin/python script/migration.py
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from gatepost.importing.catalogue import Catalogue, Fate
from gatepost.importing.take_over import PEERS

TARGET = Path(__file__).parents[1] / "docs" / "migration.md"

HEAD = """\
# What becomes of each option of the peers

`gatepost import` turns the configuration of OpenDKIM, OpenDMARC, policyd-spf and
postgrey into ours. It prints a part of `gatepost.yaml`, each line with the place that it
comes from, and tells on standard error what became of every other line. Nothing of theirs
is changed.

```sh
gatepost import opendkim /etc/opendkim-verify.conf /etc/opendkim-sign.conf
gatepost import opendkim /etc/opendkim.conf /etc/default/opendkim
gatepost import opendmarc /etc/opendmarc.conf /etc/opendmarc-stamp.conf
gatepost import policyd-spf /etc/postfix-policyd-spf-python/policyd-spf.conf
gatepost import postgrey /etc/default/postgrey
```

Several files are several instances. A file of `/etc/default` completes the one
before it. `--output FILE` writes the configuration to a new file, `--json` gives
all as one object. The exit status is 1 where a line was not understood.

Tables stay where they are: KeyTable, SigningTable, dkim-filter's KeyList and postgrey's
whitelists are read as they are. Their Berkeley, SQL and LDAP forms are not: write the rows
to a text file. The name of a host in InternalHosts is not carried over: addresses cannot be
claimed, names can. What is not said is ours: where a default of ours is another one than
theirs, the report says so under "Works otherwise".

How to move, step by step: [OpenDKIM](howto/from-opendkim.md),
[OpenDMARC](howto/from-opendmarc.md), [policyd-spf](howto/from-policyd-spf.md),
[postgrey](howto/from-postgrey.md), [rspamd's signing](howto/from-rspamd-signing.md). What
works otherwise, and why: [peers.md](peers.md).

An option that is switched off (`no`, `false`, `0`) is never missed.
"""

_TITLES = {
    Fate.CARRIED: ("Carried over", "becomes"),
    Fate.UNSUPPORTED: ("Not supported", "why, and what to do instead"),
    Fate.ALWAYS: ("Always so", "in gatepost"),
    Fate.MEANINGLESS: ("Without meaning", "why"),
}


def main() -> None:
    """Write the page."""
    TARGET.write_text(page())


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for peer, catalogue in PEERS.items():
        parts.append(f"## {peer}\n")
        parts += _tables(catalogue)
    parts.append(f"This page is made from the program by `script/{Path(__file__).name}`.\n")
    return "\n".join(parts)


def _tables(catalogue: Catalogue) -> Iterator[str]:
    for fate, (title, heading) in _TITLES.items():
        by_text: dict[str, list[str]] = {}
        for known in catalogue:
            if known.fate is fate:
                by_text.setdefault(known.text, []).append(f"`{known.name}`")
        lines = [f"| {title} | {heading} |", "| --- | --- |"]
        lines += [f"| {', '.join(names)} | {text} |" for text, names in by_text.items()]
        yield "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
