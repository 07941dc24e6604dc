"""Taking over what systemd opened: which sockets are this daemon's, and what there is to say about them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, MutableMapping

from gatepost.log import Logger
from gatepost.service.activation import Inherited, inherited_sockets
from gatepost.service.listeners import Listeners
from gatepost.service.page import Page


def take_over(
    name: str, daemons: Collection[str], environment: MutableMapping[str, str], page: Page, log: Logger
) -> list[Inherited]:
    """The sockets from systemd on which the daemon *name* serves; its metrics address goes to *page*.

    *daemons* are all that the configuration has: a socket of another one is
    left to that. Raises ServiceError for what is no listening socket.
    """
    ours = []
    for entry in inherited_sockets(environment):
        if entry.name == "metrics" and page.adopt(entry):
            log.event("info", "took the metrics address from systemd", address=entry.address)
        elif entry.name != name and entry.name in daemons:
            log.event("warning", "left a socket from systemd to its own daemon", socket=entry.name)
            entry.socket.close()
        else:
            ours.append(entry)
    return ours


def tell(inherited: Iterable[Inherited], listeners: Listeners, log: Logger) -> None:
    """Say what was taken over, and what of it the configuration does not name."""
    for entry in inherited:
        log.event("info", "took a socket from systemd", name=entry.name, address=entry.address)
    for address in listeners.unasked:
        log.event(
            "warning",
            "systemd passed an address that `socket:` does not name; serving it too:"
            " make it and the unit's ListenStream= the same",
            address=address,
        )
