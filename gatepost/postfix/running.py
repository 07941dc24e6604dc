"""Asking the Postfix that is there, through postconf(1)."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from gatepost.postfix.instance import Instance

_PATIENCE = 30.0


class PostconfError(Exception):
    """postconf could not be run, or said no; the text is one line."""


def instance(command: Sequence[str]) -> Instance:
    """What ``postconf``, run as *command*, tells: what is set, the services, the defaults. Raises PostconfError."""
    return Instance.parse(_said(command, "-n"), _said(command, "-M"), _said(command, "-d"))


def _said(command: Sequence[str], option: str) -> str:
    if not command:
        raise PostconfError("nothing is no command")
    try:
        done = subprocess.run(  # the administrator's own command
            [*command, option],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=_PATIENCE,
        )
    except FileNotFoundError:
        raise PostconfError(f"there is no {command[0]} here; --postconf says how to run it") from None
    except OSError as error:
        raise PostconfError(f"{command[0]} cannot be run: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise PostconfError(f"{command[0]} {option} took more than {_PATIENCE:g} s") from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise PostconfError(f"{' '.join([*command, option])}: {last[0]}")
    return done.stdout
