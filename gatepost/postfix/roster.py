"""Our daemons as Postfix meets them: who does what, where each listens, in which order they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from gatepost.config.addresses import SocketAddress
from gatepost.config.dkim_settings import DkimSign, DkimVerify
from gatepost.config.dmarc_settings import Dmarc
from gatepost.config.greylist_settings import Greylist
from gatepost.config.sections import Daemon
from gatepost.config.settings import Config
from gatepost.config.spf_settings import Spf
from gatepost.postfix.endpoint import Endpoint


class Roster:
    """The daemons of a configuration by what they are for, as lists of names in the configuration's order.

    ``last`` is the one that takes the seals out of a message, "" where nobody does.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        daemons = config.daemons.items()
        self.verify = [name for name, each in daemons if isinstance(each, DkimVerify)]
        self.sign = [name for name, each in daemons if isinstance(each, DkimSign)]
        self.enforce = [name for name, each in daemons if isinstance(each, Dmarc) and each.mode == "enforce"]
        self.stamp = [name for name, each in daemons if isinstance(each, Dmarc) and each.mode == "stamp"]
        self.spf = [name for name, each in daemons if isinstance(each, Spf)]
        self.greylist = [name for name, each in daemons if isinstance(each, Greylist)]
        self.last = next((names[-1] for names in (self.stamp, self.enforce, self.verify) if names), "")

    @property
    def milters(self) -> list[str]:
        """All milters, in the order in which they should stand on one port."""
        return [*self.verify, *self.sign, *self.enforce, *self.stamp]

    @property
    def policies(self) -> list[str]:
        """All policy services, in the order in which they should be asked."""
        return [*self.spf, *self.greylist]

    @property
    def dmarc(self) -> list[str]:
        """The DMARC daemons."""
        return [*self.enforce, *self.stamp]

    def __getitem__(self, name: str) -> Daemon:
        return self.config.daemons[name]

    def find(self, endpoint: Endpoint) -> str:
        """The daemon that listens at *endpoint*; "" where it is none of ours."""
        return next((name for name, _ in self._matching(endpoint.meets)), "")

    def meant(self, endpoint: Endpoint) -> tuple[str, str]:
        """The daemon that *endpoint* misses by host or chroot, and where that one listens; "" and "" for none."""
        return next(self._matching(endpoint.means), ("", ""))

    def _matching(self, fits: Callable[[SocketAddress], bool]) -> Iterator[tuple[str, str]]:
        for name, daemon in self.config.daemons.items():
            for address in daemon.socket:
                if fits(address):
                    yield name, str(address)

    def address(self, name: str, queue_directory: str = "/var/spool/postfix") -> str:
        """Where *name* listens, as Postfix writes it; below its queue directory, a path from there."""
        address = self[name].socket[0]
        if address.family == "unix":
            root = queue_directory.rstrip("/") + "/"
            return f"unix:{address.path.removeprefix(root)}"
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(address.host)  # noqa: S104  # no bind
        return f"inet:{host}:{address.port}" if host else str(address)

    def in_order(self, names: Sequence[str]) -> list[str]:
        """*names* in the order in which they should stand on one port, each once."""
        return [name for name in [*self.milters, *self.policies] if name in names]
