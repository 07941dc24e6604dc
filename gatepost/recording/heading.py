"""How a session file begins, whatever the protocol: a line that says what it is, and a comment."""

from __future__ import annotations

from gatepost.recording.events import RecordingError


def heading(version_line: str, comment: str) -> str:
    """The first lines of a file: *version_line*, then *comment*, each of its lines marked as such."""
    return f"{version_line}\n" + "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())


def read_heading(text: str, version_line: str) -> tuple[str, list[str]]:
    """The comment right below the first line, and all lines after the first.

    Raises RecordingError where the first is not *version_line*.
    """
    # Only "\n" ends a line: a quoted string may hold any of Unicode's other line ends.
    first, *lines = text.split("\n")
    if first.rstrip() != version_line:
        raise RecordingError(1, f'a session file begins with the line "{version_line}"')
    comment = []
    for line in lines:
        if not line.startswith("#"):
            break
        comment.append(line[1:].removeprefix(" ").rstrip())
    return "\n".join(comment), lines
