"""All pages: what stands in them, and where it is taken from.

The commands are those of ``docs/commands.md``, the options those of
``docs/options.md``, which are made from the program; sockets and users are
those of the units. Beside these each page has a text of its own in ``text/``.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from script.manpages.troff import body, head

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "docs" / "man"
_TEXT = Path(__file__).parent / "text"

DAEMONS = {
    "dkim-verify": "verify DKIM signatures, and remove forged results",
    "dkim-sign": "sign what our users send with DKIM",
    "dmarc-enforce": "evaluate DMARC where mail comes in, and refuse or hold what fails",
    "dmarc-stamp": "write the DMARC result behind a content filter",
    "spf": "check HELO and MAIL FROM by SPF",
    "greylist": "let mail of strangers come again",
}
"""The daemons of the shipped configuration, and what each is for."""


def pages() -> dict[str, str]:
    """Every page by its name below ``docs/man``."""
    return {
        "man1/gatepost.1": _command_page(),
        "man5/gatepost.yaml.5": _options_page(),
        **{f"man8/gatepost-{name}.8": _daemon_page(name) for name in DAEMONS},
    }


def _command_page() -> str:
    # What commands print is for the documentation: a man page is to be read on a terminal that has them.
    _, commands = _parts(re.sub(r"(?m)^What it prints:\n\n(?:(?:    .*)?\n)*", "", _document("commands")))
    text = _filled("gatepost", commands=_deeper(commands))
    return head("gatepost", 1, "mail authentication for Postfix: DKIM, SPF, DMARC and greylisting") + body(
        text
    )


def _options_page() -> str:
    intro, options = _parts(_document("options"))
    text = _filled("gatepost.yaml", intro=intro, options=_deeper(options))
    return head("gatepost.yaml", 5, "the configuration of all daemons of gatepost") + body(text)


def _daemon_page(name: str) -> str:
    service = (ROOT / "systemd" / "gatepost@.service").read_text()
    for drop_in in sorted((ROOT / "systemd" / f"gatepost@{name}.service.d").glob("*.conf")):
        service += drop_in.read_text()
    settings = yaml.safe_load((ROOT / "conf" / "gatepost.yaml").read_text())["daemons"][name]
    text = _filled(
        "daemon",
        name=name,
        own=(_TEXT / f"{name}.md").read_text().strip(),
        options=_deeper(_options_of(settings.get("kind", name))),
        socket=_values("ListenStream", (ROOT / "systemd" / f"gatepost@{name}.socket").read_text())[-1],
        user=_values("User", service)[-1],
        metrics=settings["metrics"],
        drain=_values("TimeoutStopSec", service)[-1],
        others=", ".join(f"gatepost-{each}(8)" for each in DAEMONS if each != name),
    )
    return head(f"gatepost-{name}", 8, DAEMONS[name]) + body(text)


def _document(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text()


def _parts(document: str) -> tuple[str, str]:
    """What comes before the first section, without the title and the last paragraph on how it is made; the rest."""
    before, mark, rest = document.partition("\n## ")
    before = before.partition("\n")[2]
    return re.sub(r"(?s)\s*\bThis page is made from the program.*", "", before).strip(), mark + rest


def _options_of(kind: str) -> str:
    """The sections of the options that only this kind of daemon has."""
    sections = re.split(r"(?m)^(?=## )", _document("options"))
    title = re.compile(rf"## (kind: {re.escape(kind)}|\w+: of {re.escape(kind)})\n")
    return "".join(section for section in sections if title.match(section))


def _deeper(markdown: str) -> str:
    return re.sub(r"(?m)^##", "###", markdown)


def _filled(page: str, /, **values: str) -> str:
    text = (_TEXT / f"{page}.md").read_text()
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def _values(key: str, unit: str) -> list[str]:
    return re.findall(rf"(?m)^{key}=(.+)$", unit)
