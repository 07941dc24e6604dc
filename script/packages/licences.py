"""Debian's copyright file: gatepost's licence, and those of the libraries that go with it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path

_HEAD = """\
gatepost: mail authentication for Postfix.

Copyright: the authors of gatepost
Licence: Apache-2.0, in /usr/share/common-licenses/Apache-2.0

The package holds also the libraries below, in {place}. Each has a licence of
its own. Where a library may be had under several, Debian's choice is yours.
"""

_COMMON = {"Apache License": "Apache-2.0", "Mozilla Public License Version 2.0": "MPL-2.0"}
"""Long licences that every Debian has, by the words that their text begins with."""
_LONG = 9000


def take_licences(site: Path, place: Path) -> str:
    """The file's text. The libraries' own licence files are taken out of *site*, which will lie at *place*."""
    parts = [_HEAD.format(place=f"/{place}")]
    for info in sorted(site.glob("*.dist-info")):
        if not info.name.startswith("gatepost-"):
            parts.append("\n".join(_library(Distribution.at(info), info)) + "\n")
        shutil.rmtree(info / "licenses", ignore_errors=True)
        for file in _files(info):
            file.unlink(missing_ok=True)
    return "\n".join(parts)


def _library(about: Distribution, info: Path) -> Iterator[str]:
    title = f"{about.metadata['Name']} {about.metadata['Version']}"
    yield title
    yield "-" * len(title)
    yield ""
    yield f"Licence: {_first(about, 'License-Expression', 'License').splitlines()[0]}"
    if page := _page(about):
        yield f"From: {page}"
    if authors := _first(about, "Author", "Author-email", "Maintainer-email"):
        yield f"Authors: {authors}"
    for file in _files(info):
        yield ""
        text = file.read_text(errors="replace").strip()
        for words, name in _COMMON.items():
            if len(text) > _LONG and words in text:
                # Whose it is stands above.
                text = f"{text[: text.index(words)].strip()}\n/usr/share/common-licenses/{name}".strip()
        yield from (f"    {line}".rstrip() for line in text.splitlines())


def _page(about: Distribution) -> str:
    urls = dict(re.split(r",\s*", each, maxsplit=1) for each in about.metadata.get_all("Project-URL") or [])
    return _first(about, "Home-page") or next(iter(urls.values()), "")


def _first(about: Distribution, *fields: str) -> str:
    for field in fields:
        if values := about.metadata.get_all(field):
            return str(values[0])
    return ""


def _files(info: Path) -> list[Path]:
    found = [file for file in (info / "licenses").rglob("*") if file.is_file()]
    return sorted([*found, *(file for name in ("LICEN[CS]E*", "COPYING*") for file in info.glob(name))])
