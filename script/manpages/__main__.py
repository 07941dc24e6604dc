"""``python -m script.manpages``: write all man pages below ``docs/man``."""

from __future__ import annotations

from script.manpages.pages import TARGET, pages


def main() -> None:
    """Write them, and remove what is none of them."""
    wanted = pages()
    for old in TARGET.glob("man?/*"):
        if str(old.relative_to(TARGET)) not in wanted:
            old.unlink()
    for name, text in wanted.items():
        file = TARGET / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


if __name__ == "__main__":
    main()
