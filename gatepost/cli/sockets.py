"""Sockets as arguments of a command."""

from __future__ import annotations

import argparse

from gatepost.config.types import SocketAddress


def socket_address(text: str) -> SocketAddress:
    """Read ``inet:8891@127.0.0.1``, ``unix:/path`` and their other forms; for argparse."""
    try:
        return SocketAddress.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
