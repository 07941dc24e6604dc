"""The ports of one Postfix as parts of a pipeline: in, to the filter, back, out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gatepost.config.words import listed
from gatepost.postfix.finding import Finding, error, in_service
from gatepost.postfix.instance import Instance
from gatepost.postfix.port import Port, Role
from gatepost.postfix.roster import Roster

MILTERS = "smtpd_milters"


class Pipeline:
    """The ports by what they are for.

    ``borders`` take the world's mail: ``proxied`` through a filter before the
    queue, ``filtered`` through one after it. ``users`` take mail of users,
    ``backs`` what a filter hands back.
    """

    def __init__(self, instance: Instance, roster: Roster, ports: Sequence[Port]) -> None:
        self.instance = instance
        self.roster = roster
        self.borders = [port for port in ports if port.role is Role.BORDER]
        self.users = [port for port in ports if port.role is Role.SUBMISSION]
        self.proxied = [port for port in self.borders if port.proxy_filter]
        self.filtered = [port for port in self.borders if port.content_filter and not port.proxy_filter]
        out = any(port.content_filter for port in self.users)
        # Without a filter, a port that is closed to the world is one more way in for our own programs.
        filters = bool(self.proxied or self.filtered or out)
        self.backs = [port for port in ports if port.role is Role.BACK and filters]

    def mend(self, port: Port, names: Sequence[str]) -> str:
        """The command that puts *names* on *port*, behind the milters there that are none of ours."""
        written = {name: endpoint.word for endpoint, name in port.milters if name}
        ours = [written.get(name) or self.address(name) for name in self.roster.in_order(names)]
        return in_service(port.service, MILTERS, [*self.strangers(port), *ours])

    def strangers(self, port: Port) -> list[str]:
        """The milters that are none of ours, and were not meant to be, as written."""
        return [
            endpoint.word
            for endpoint, name in port.milters
            if not (name or endpoint.fault or self.roster.meant(endpoint)[0])
        ]

    def address(self, name: str) -> str:
        """Where the daemon *name* is, as this Postfix writes it."""
        return self.roster.address(name, self.instance.queue_directory)

    def missing(self, port: Port, wanted: Sequence[str], what: str) -> Iterator[Finding]:
        """What to say where not all of *wanted* are on *port*; *what* comes of it."""
        missing = [name for name in wanted if name not in port.ours]
        if not missing:
            return
        others = self.strangers(port)
        strangers = f" (of {listed(others, 'and')} nothing is in our configuration)" if others else ""
        verb = "is" if len(missing) == 1 else "are"
        text = f"{listed(missing, 'and')} {verb} missing: {what}{strangers}"
        off = " without no_milters in receive_override_options" if port.off else ""
        yield error(port.service, text, self.mend(port, [*port.ours, *missing]) + off)
