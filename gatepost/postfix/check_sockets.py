"""Does each address that Postfix has lead to a daemon of ours, also from inside a chroot?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from gatepost.postfix.endpoint import Endpoint
from gatepost.postfix.finding import Finding, error, hint
from gatepost.postfix.instance import Instance, Service
from gatepost.postfix.port import Port
from gatepost.postfix.reach import Obstacle
from gatepost.postfix.roster import Roster

Look = Callable[[str], Obstacle | None]
"""Says what keeps Postfix from a unix socket; None for nothing."""


def check_sockets(
    instance: Instance, roster: Roster, ports: Sequence[Port], look: Look | None
) -> Iterator[Finding]:
    """Look at each address that a port has, once a port; *look* is left out for a Postfix elsewhere."""
    looked: set[str] = set()
    for service, entries in [*map(_entries, ports), *_of_cleanup(instance, roster)]:
        seen: set[str] = set()
        for endpoint, name, milter in entries:
            if endpoint.text in seen:
                continue
            seen.add(endpoint.text)
            if name:
                yield from _kind(roster, service, endpoint, name, milter)
                if look is not None and endpoint.path and endpoint.path not in looked:
                    looked.add(endpoint.path)
                    yield from _reached(service, endpoint, name, look(endpoint.path))
            else:
                yield from _stray(instance, roster, service, endpoint)


_Entries = tuple[Service, list[tuple[Endpoint, str, bool]]]
"""A service, and its addresses: each with the name of the daemon of ours, and whether a milter is meant."""


def _entries(port: Port) -> _Entries:
    milters = [(endpoint, name, True) for endpoint, name in port.milters]
    return port.service, [*milters, *((asked.endpoint, asked.daemon, False) for asked in port.policies)]


def _of_cleanup(instance: Instance, roster: Roster) -> Iterator[_Entries]:
    """The addresses for mail that did not come by SMTP; cleanup(8) may have a chroot where smtpd has none."""
    cleanup = instance.service("cleanup", "unix")
    if cleanup is not None:
        words = instance.items("non_smtpd_milters", cleanup)
        endpoints = [Endpoint.parse(word, instance, cleanup) for word in words]
        yield cleanup, [(endpoint, roster.find(endpoint), True) for endpoint in endpoints]


def _kind(roster: Roster, service: Service, endpoint: Endpoint, name: str, milter: bool) -> Iterator[Finding]:
    if milter and name in roster.policies:
        yield error(
            service, f"{name} is a policy service, no milter", f"check_policy_service {endpoint.text}"
        )
    elif not milter and name in roster.milters:
        yield error(service, f"{name} is a milter, no policy service", f"smtpd_milters = {endpoint.text}")


def _reached(service: Service, endpoint: Endpoint, name: str, obstacle: Obstacle | None) -> Iterator[Finding]:
    if obstacle is not None:
        level = hint if obstacle.missing else error
        yield level(service, f"{name} at {endpoint.text}: {obstacle.text}", obstacle.mend)


def _stray(instance: Instance, roster: Roster, service: Service, endpoint: Endpoint) -> Iterator[Finding]:
    """An address at which nothing of ours listens."""
    if endpoint.fault:
        yield error(service, f"{endpoint.text} {endpoint.fault}", endpoint.better)
        return
    for name, daemon in roster.config.daemons.items():
        if daemon.metrics and endpoint.port == daemon.metrics.port:
            text = f"{endpoint.text} is where {name} serves its metrics"
            yield error(service, text, roster.address(name, instance.queue_directory))
            return
    name, address = roster.meant(endpoint)
    if not name:
        return
    if endpoint.path:
        root = instance.queue_directory
        inside = f"{root}/gatepost/{name}"
        text = f"{name} listens on {address}, but from its chroot or directory Postfix sees {endpoint.path}"
        mend = f'socket: "unix:{inside}" (gatepost.yaml) and unix:gatepost/{name} here'
        if address.startswith(f"unix:{root}/"):
            mend = roster.address(name, root)
        yield error(service, text, mend)
    else:
        text = f"{name} listens on {address}, not on {endpoint.text}"
        yield error(service, text, roster.address(name, instance.queue_directory))
