"""Writes docs/protocol.md: what each daemon asks of Postfix, from the daemons themselves.

.venv/bin/python script/protocol.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).parents[1]))

from gatepost.config.dkim_settings import DkimSign
from milters import mfdef
from milters.dkim_sign import DkimSignHandler
from milters.dkim_verify import DkimVerifyHandler
from milters.dmarc import DmarcHandler
from milters.handler import Needs, Step
from milters.negotiation import wanted_actions, wanted_steps

TARGET = Path(__file__).parents[1] / "docs" / "protocol.md"

HEAD = """\
# What the daemons ask of Postfix

When Postfix connects to a milter, the two agree on the steps of the session that the
milter is shown, the macros that come with them, and what it may do to a message. Each
daemon asks for what it needs and no more. Postfix sends the macros that are asked for,
whatever `milter_connect_macros` and its kin say, from version 2.6 on.

Only the end of the message is answered (and, to dmarc, body chunks, which it stops where
it has seen enough), so that Postfix can send a whole message in two writes; what an old
Postfix does not offer is done without. The protocol is version
6 of libmilter's, and peers from version 2 on are served.

This page is made from the program by `script/protocol.py`.

## Steps
"""

STEPS = {
    "connect": (Step.CONNECT, "the client's address and name"),
    "HELO": (Step.HELO, "what the client calls itself"),
    "MAIL": (Step.MAIL, "the sender, and the login"),
    "RCPT": (Step.RCPT, "each recipient"),
    "header": (Step.HEADERS, "each field, with the white space behind the colon"),
    "body": (Step.BODY, "in chunks, hashed as they come"),
}

ACTIONS = {
    "add header fields": mfdef.SMFIF_ADDHDRS,
    "change and remove header fields": mfdef.SMFIF_CHGHDRS,
    "put into the hold queue": mfdef.SMFIF_QUARANTINE,
    "ask for macros": mfdef.SMFIF_SETSYMLIST,
}

MEANINGS = {
    "v": "Postfix's name and version: older ones remove the wrong field behind a PREPEND",
    "i": "the queue id, for the log",
    "auth_authen": "the login; empty for a stranger",
    "daemon_name": "`ORIGINATING` on a port for users, for `sign_for`",
}

TAIL = """\
## Policy services

A policy service sees what Postfix sends with every request, and reads these attributes:

| attribute | what for |
| --- | --- |
| `protocol_state` | which step the request is for: RCPT, DATA and END-OF-MESSAGE count, all others get `DUNNO` |
| `client_address`, `client_name` | who brings the mail; the name as far as Postfix has confirmed it |
| `helo_name` | what the client calls itself |
| `sender`, `recipient` | the envelope |
| `sasl_username` | the login: users are left alone |
| `instance` | one message, whatever the number of its recipients |
| `queue_id` | for the log |

It answers with one action of access(5): `DUNNO`, `PREPEND`, `DEFER_IF_PERMIT`, or a reply
of its own ([replies.md](replies.md)).
"""


def needs() -> dict[str, Needs]:
    """What each milter daemon asks for."""
    tools = cast(Any, None)  # not looked at before a message comes
    settings = DkimSign.model_validate({"socket": "inet:8892"})
    sparing = DkimSign.model_validate({"socket": "inet:8892", "never_sign_to": ["example.nl"]})
    return {
        "dkim-verify": DkimVerifyHandler.needs,
        "dkim-sign": DkimSignHandler("dkim-sign", settings, tools).needs,
        "dkim-sign with `never_sign_to`": DkimSignHandler("dkim-sign", sparing, tools).needs,
        "dmarc": DmarcHandler.needs,
    }


def page() -> str:
    """The whole page."""
    found = needs()
    names = list(found)
    lines = [HEAD, _heading(["step", "brings", *names])]
    lines += [
        _row([step, what, *("yes" if bit in each.steps else "no" for each in found.values())])
        for step, (bit, what) in STEPS.items()
    ]
    skips = [
        "yes" if wanted_steps(each, (1 << 21) - 1) & mfdef.SMFIP_SKIP else "no" for each in found.values()
    ]
    lines += [_row(["no more of the body", "where what has come is enough", *skips]), "", "## Actions", ""]
    lines.append(_heading(["action", *names]))
    lines += [
        _row([action, *("yes" if bit & wanted_actions(each) else "no" for each in found.values())])
        for action, bit in ACTIONS.items()
    ]
    lines += ["", "## Macros", "", _heading(["macro", "at", "what for", "asked for by"])]
    asked: dict[tuple[str, str], list[str]] = {}
    for name, each in found.items():
        for stage, macros in each.macros.items():
            for macro in macros:
                asked.setdefault((macro.strip("{}"), stage), []).append(name)
    lines += [
        _row([f"`{macro}`", stage, MEANINGS[macro], ", ".join(each for each in by if " " not in each)])
        for (macro, stage), by in asked.items()
    ]
    lines += ["", "dkim-sign asks besides for what `sign_for` names, at connect and at MAIL.", "", TAIL]
    return "\n".join(lines)


def _heading(cells: list[str]) -> str:
    return f"{_row(cells)}\n{_row(['---'] * len(cells))}"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Write the page."""
    TARGET.write_text(page())


if __name__ == "__main__":
    main()
