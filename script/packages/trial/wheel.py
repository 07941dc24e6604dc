"""The wheel in a virtual environment, as docs/installing.md has it: no compiler, and all six daemons under systemd."""

from __future__ import annotations

import shutil
from pathlib import Path

from script.packages.trial.checking import expect
from script.packages.trial.clean_root import CleanRoot

_NAMES = ("dkim-verify", "dkim-sign", "dmarc-enforce", "dmarc-stamp", "spf", "greylist")
INSTALL = """\
python3 -m venv /opt/gatepost
/opt/gatepost/bin/pip install --quiet --no-index --find-links /root/wheels gatepost
cd /opt/gatepost/share/gatepost
install -D -m 644 -t /etc/gatepost conf/gatepost.yaml conf/greylist-allow
cp -r systemd/gatepost.target systemd/gatepost@* /etc/systemd/system/
install -D -m 644 systemd/gatepost.sysusers /etc/sysusers.d/gatepost.conf
install -D -m 644 systemd/gatepost.tmpfiles /etc/tmpfiles.d/gatepost.conf
ln -s /opt/gatepost/bin/gatepost /usr/local/bin/gatepost
systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload
gatepost keygen example.nl
gatepost check
systemctl enable --now gatepost@{{{names}}}.socket gatepost.target
"""


def try_wheel(root: CleanRoot, wheels: Path) -> None:
    """Install it, start everything, look, and stop."""
    shutil.copytree(wheels, root.path("/root/wheels"))
    expect(not root.run("command -v gcc cc || true"), "there is no compiler")
    root.run(INSTALL.format(names=",".join(_NAMES)))
    for name in _NAMES:
        root.settled(f"systemctl is-active gatepost@{name}.service")
        told = root.run(
            f"systemctl show -P MainPID gatepost@{name} | xargs -I @ readlink /proc/@/cwd /proc/@/exe"
        )
        expect("python3" in told, f"{name} runs", told)
    page = root.run("PATH=/opt/gatepost/bin:$PATH man -w gatepost-spf").strip()
    expect(page.startswith("/opt/gatepost/share/man/"), "man finds its pages", page)
    root.run("systemctl stop gatepost.target 'gatepost@*'")
    expect(not root.run("pgrep -u gatepost,gatepost-sign || true"), "no process is left")
