"""Postfix configurations as text, and what is found in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gatepost.config.load import load
from gatepost.config.settings import Config
from gatepost.postfix.check import check
from gatepost.postfix.finding import Finding
from gatepost.postfix.instance import Instance
from gatepost.postfix.reach import Obstacle

DATA = Path(__file__).with_name("data")
CONF = Path(__file__).parents[3] / "conf"
DEFAULTS = (DATA / "defaults.txt").read_text()
CLEANUP = "\ncleanup unix n - n - 0 cleanup\n"

VERIFY, SIGN, ENFORCE, STAMP = (f"inet:127.0.0.1:{port}" for port in (8891, 8892, 8893, 8894))
BORDER_LINE = f"smtpd_milters = {VERIFY}, {ENFORCE}"
INWARD_LINE = f"-o smtpd_milters={VERIFY},{STAMP}"
OUTWARD_LINE = f"-o smtpd_milters={SIGN}"
FILTER_LINE = "-o content_filter=smtp-amavis:[127.0.0.1]:10024"
SPF_LINE = "    check_policy_service unix:private/gatepost-spf\n"
GREYLIST_LINE = "    check_policy_service inet:127.0.0.1:10023\n"
PORT, INWARD, OUTWARD = "smtpd/pass", "127.0.0.1:10025/inet", "127.0.0.1:10027/inet"

Change = tuple[str, str]


def config(*without: str, **options: Any) -> Config:
    """All six daemons at the guides' addresses, less those named; *options* of the whole file."""
    whole = load(DATA / "gatepost.yaml")
    daemons = {name: daemon for name, daemon in whole.daemons.items() if name not in without}
    return Config.model_validate({"authserv_id": whole.authserv_id, "daemons": daemons, **options})


def changed(whole: Config, name: str, **options: Any) -> Config:
    """*whole* with other options for the daemon called *name*."""
    daemon = whole.daemons[name].model_copy(update=options)
    return whole.model_copy(update={"daemons": {**whole.daemons, name: daemon}})


def shipped(kind: str) -> tuple[str, str]:
    """main.cf and master.cf of conf/postfix, on an installed Postfix."""
    directory = CONF / "postfix" / kind
    main = f"compatibility_level = 3.6\n{(directory / 'main.cf').read_text()}"
    return main, (directory / "master.cf").read_text() + CLEANUP


def found(
    main: str,
    master: str,
    whole: Config,
    *,
    defaults: str = DEFAULTS,
    look: Callable[[str], Obstacle | None] | None = None,
) -> list[Finding]:
    return check(Instance.parse(main, master, defaults), whole, look)


def brief(findings: list[Finding]) -> list[tuple[str, str]]:
    """Level and place of each."""
    return [(str(finding.level), finding.place) for finding in findings]


def after(kind: str, changes: Sequence[Change], whole: Config, defaults: str = DEFAULTS) -> list[Finding]:
    """The findings when each *change*, old and new text, is made to the shipped files of *kind*."""
    main, master = shipped(kind)
    for old, new in changes:
        assert (old in main) != (old in master), old
        main, master = main.replace(old, new), master.replace(old, new)
    return found(main, master, whole, defaults=defaults)
