"""``gatepost record``: listen in between Postfix and a milter or policy service, and write down what they say.

Postfix is pointed at the listening socket; every octet is passed on to the
daemon, ours or any other, and back.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
import sys

from gatepost.cli.sockets import socket_address
from gatepost.cli.status import FINE, NOT_IN_ORDER
from gatepost.recording.proxy import Proxy
from gatepost.recording.shelf import shelf
from gatepost.service.daemon import ServiceError
from gatepost.service.listeners import bind
from milters.recording.language import MILTER
from policy.recording.language import POLICY

EXAMPLE = (
    "gatepost record --listen inet:8895@127.0.0.1 --to inet:8891@127.0.0.1 --output sessions/\n"
    "  with, in Postfix: smtpd_milters = inet:127.0.0.1:8895"
)
EXIT_STATUS = "0 it was told to stop, 1 it cannot listen or write, 2 wrong arguments"

_LANGUAGES = {"milter": MILTER, "policy": POLICY}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "--listen", type=socket_address, required=True, metavar="SOCKET", help="where Postfix connects"
    )
    parser.add_argument(
        "--to", type=socket_address, required=True, metavar="SOCKET", help="where the daemon listens"
    )
    parser.add_argument(
        "--protocol",
        choices=sorted(_LANGUAGES),
        default="milter",
        help="what they speak (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        required=True,
        metavar="DIR|FILE",
        help="a directory, for one file a connection (DIR/ makes it), or a new file for all; "
        "they hold whole messages and are open to their owner alone",
    )
    parser.add_argument("--comment", default="", help="what the recording is for; goes on top of each file")


def main(arguments: argparse.Namespace) -> int:
    """Record until SIGTERM or Ctrl-C; gives 0, or 1 where that cannot be done."""
    language = _LANGUAGES[arguments.protocol]
    try:
        into = shelf(arguments.output, arguments.comment, language)
        listener = bind(arguments.listen, None)
    except ServiceError as error:
        _say(str(error))
        return NOT_IN_ORDER
    except OSError as error:
        _say(f"{error.filename}: {error.strerror}")
        return NOT_IN_ORDER
    proxy = Proxy(arguments.to, into.open_book, _say, language)
    _say(f"recording {arguments.listen} to {arguments.to}, into {arguments.output}")
    try:
        asyncio.run(_serve(listener.socket, proxy))
    finally:
        listener.close()
        into.close()
    _say("1 connection recorded" if into.count == 1 else f"{into.count} connections recorded")
    return FINE


async def _serve(listener: socket.socket, proxy: Proxy) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await asyncio.start_server(proxy.serve, sock=listener)
    await stop.wait()
    server.close()
    await proxy.stop()


def _say(text: str) -> None:
    print(f"gatepost: {text}", file=sys.stderr, flush=True)
