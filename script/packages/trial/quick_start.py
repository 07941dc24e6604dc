"""From nothing to the first signed mail: every command, as docs/installing.md has them.

Where a person opens an editor, this changes the same lines with sed.
"""

from __future__ import annotations

from script.packages.trial.clean_root import CleanRoot

NAMES = ("dkim-verify", "dkim-sign", "dmarc-enforce", "spf", "greylist")
"""The daemons of a server without a content filter."""
CONFIGURATION = "/etc/gatepost/gatepost.yaml"

# A server without a content filter has no dmarc-stamp: from its comment to the next one.
_EDIT_CONFIGURATION = f"""\
sed -i '/Writes the DMARC result behind/,/metrics: 127.0.0.1:9894/d' {CONFIGURATION}
sed -i 's/^authserv_id:.*/authserv_id: mail.example.nl/' {CONFIGURATION}
"""
_EDIT_POSTFIX = "gatepost postfix | sed '/^# --- master.cf/,$d' >>/etc/postfix/main.cf"

COMMANDS = (
    ("install", "apt-get -qq -y --no-install-recommends install {package}"),
    ("set the names, leave out dmarc-stamp (an editor)", _EDIT_CONFIGURATION),
    ("make a key, publish the record", "gatepost keygen example.nl"),
    ("check", "gatepost check"),
    ("enable", f"systemctl enable --now gatepost@{{{','.join(NAMES)}}}.socket gatepost.target"),
    ("lines for Postfix (an editor)", _EDIT_POSTFIX),
    ("let Postfix read them", "systemctl reload postfix"),
    ("check both together", "gatepost check --postfix"),
)


def go_on(root: CleanRoot) -> None:
    """All of them but the first; each has to succeed."""
    for _, command in COMMANDS[1:]:
        root.run(command)
