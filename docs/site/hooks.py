"""What mkdocs is told beside its configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    """Leave out of the navigation what this checkout does not have, such as figures not measured yet."""
    config.nav = _present(config.nav, Path(config.docs_dir))
    return config


def _present(entries: list[Any], docs: Path) -> list[Any]:
    found: list[Any] = []
    for entry in entries:
        if isinstance(entry, str):
            found += [entry] if (docs / entry).is_file() else []
            continue
        [(title, below)] = entry.items()
        if isinstance(below, list):
            found.append({title: _present(below, docs)})
        elif (docs / below).is_file():
            found.append(entry)
    return found
