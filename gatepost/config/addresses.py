"""Addresses as they stand in a configuration: networks, hosts with ports, listening sockets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal

from gatepost.config.words import printable, quoted

Family = Literal["inet", "inet6", "unix"]

LONGEST_UNIX_PATH = 107
"""Octets that fit into sockaddr_un beside the final NUL (unix(7))."""

# A host name (RFC 1123 §2.1); underscores occur in container networks.
_HOST_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*", re.IGNORECASE)
_PORT = re.compile(r"[0-9]{1,5}")


def parse_network(value: object) -> IPv4Network | IPv6Network:
    """Read ``10.0.0.0/8`` or ``2001:db8::/32``; a bare address is the network of that one.

    Raises ValueError, also for an address inside a network (``10.0.0.1/8``).
    """
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    expected = "expected an address or a network such as 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32"
    if not isinstance(value, str):
        raise ValueError(expected)
    text = value.strip()
    try:
        network = ip_network(text, strict=False)
        # Parsed apart, as a scope ("%eth0") would vanish in the network.
        address = ip_address(text.partition("/")[0])
    except ValueError:
        raise ValueError(f"{expected}, not {quoted(value)}") from None
    if "%" in text:
        raise ValueError(f"{expected}, without %: not {quoted(value)}")
    if address != network.network_address:
        raise ValueError(
            f"{quoted(value)} is an address inside a network: write {network}, or {address} alone"
        )
    return network


@dataclass(frozen=True, slots=True)
class HostAndPort:
    """A host, by address or name, and a port. An IPv6 address is without brackets."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, default_port: int | None = None) -> HostAndPort:
        """Read ``192.0.2.1:53``, ``[::1]:53`` or ``localhost:53``.

        The port may be left out where *default_port* is given. Raises ValueError.
        """
        port = 53 if default_port else 9891
        expected = f"expected ADDRESS:PORT such as 127.0.0.1:{port} or [::1]:{port}"
        host, separator, port_text = _split_host(text.strip())
        if not separator and default_port is not None and _is_host(host):
            return cls(_shortest(host), default_port)
        if not separator and _is_host(host):
            shown = f"[{host}]" if ":" in host else host
            raise ValueError(f"the port is missing: {expected}, not {shown}")
        number = _port(port_text)
        if not _is_host(host) or number is None:
            raise ValueError(f"{expected}, not {quoted(text)}")
        return cls(_shortest(host), number)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class SocketAddress:
    """Where a daemon listens.

    For ``inet`` and ``inet6``, ``host`` and ``port`` are set; for ``unix``,
    ``path``, and where given ``mode`` and ``group`` of the socket file.
    """

    family: Family
    host: str = ""
    port: int = 0
    path: str = ""
    mode: int | None = None
    group: str | None = None

    @classmethod
    def parse(cls, text: str) -> SocketAddress:
        """Read a socket as libmilter, Postfix or people write it. Raises ValueError.

        ``inet:PORT@HOST``, ``inet6:PORT@HOST``, ``inet:HOST:PORT``,
        ``HOST:PORT``; ``inet:PORT`` alone is this host only (127.0.0.1);
        ``unix:PATH``, ``local:PATH`` or a path from the root.
        """
        text = text.strip()
        prefix, separator, rest = text.partition(":")
        prefix = prefix.lower()
        if text.startswith("/"):
            return cls._unix(text, text)
        if separator and prefix in ("unix", "local"):
            return cls._unix(rest, text)
        if separator and prefix in ("inet", "inet6"):
            return cls._internet(prefix, rest, text)
        if separator and not _port(text):
            return cls._internet("", text, text)
        if _port(text):
            raise ValueError(f'a port alone is no socket: write "inet:{text}@127.0.0.1"')
        raise ValueError(f"{_EXPECTED_SOCKET}, not {quoted(text)}")

    @classmethod
    def _unix(cls, path: str, text: str) -> SocketAddress:
        if not path or not path.isprintable():
            raise ValueError(f"{_EXPECTED_SOCKET}, not {quoted(text)}")
        if not path.startswith("/"):
            # Postfix takes such a path from its queue directory.
            raise ValueError(
                f"expected a whole path; for Postfix's own write unix:/var/spool/postfix/{printable(path)}"
            )
        length = len(path.encode("utf-8", "surrogatepass"))
        if length > LONGEST_UNIX_PATH:
            raise ValueError(
                f"the path of a unix socket may have {LONGEST_UNIX_PATH} octets, this one has {length}"
            )
        return cls("unix", path=path)

    @classmethod
    def _internet(cls, prefix: str, rest: str, text: str) -> SocketAddress:
        port_text, separator, host = rest.partition("@")
        if separator:
            host = host.removeprefix("[").removesuffix("]")
        elif _port(rest):
            port_text, host = rest, "::1" if prefix == "inet6" else "127.0.0.1"
        else:
            host, separator, port_text = _split_host(rest)
        number = _port(port_text)
        if host == "*":
            every = "inet6:{}@::" if prefix == "inet6" else "inet:{}@0.0.0.0"
            raise ValueError(f'for every address of this host write "{every.format(number or "PORT")}"')
        if number is None or not _is_host(host):
            raise ValueError(f"{_EXPECTED_SOCKET}, not {quoted(text)}")
        version = _version(host)
        if version == 4 and prefix == "inet6":
            raise ValueError(f'{host} is an IPv4 address: write "inet:{number}@{host}"')
        family: Family = "inet6" if version == 6 or prefix == "inet6" else "inet"
        return cls(family, _shortest(host), number)

    @property
    def libmilter(self) -> str:
        """The address as libmilter's smfi_setconn takes it: ``inet:8891@127.0.0.1``, ``unix:/path``."""
        if self.family == "unix":
            return f"unix:{self.path}"
        return f"{self.family}:{self.port}@{self.host}"

    def __str__(self) -> str:
        """Give the address as Postfix's smtpd_milters takes it: ``inet:127.0.0.1:8891``, ``unix:/path``."""
        if self.family == "unix":
            return f"unix:{self.path}"
        return f"inet:{HostAndPort(self.host, self.port)}"


_EXPECTED_SOCKET = "expected a socket such as inet:8891@127.0.0.1 or unix:/run/gatepost/verify"


def _split_host(text: str) -> tuple[str, str, str]:
    """Split ``HOST:PORT``; separator and port are "" where there is no port. Brackets are taken off."""
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if not bracket or (port and not port.startswith(":")) or _version(host) != 6:
            return "", "", ""
        return host, port[:1], port[1:]
    if text.count(":") > 1:
        return (text, "", "") if _version(text) == 6 else ("", "", "")
    host, separator, port = text.partition(":")
    return host, separator, port


def _is_host(host: str) -> bool:
    if _version(host):
        return True
    # What is all digits and dots is an address with a slip in it, not a name.
    return bool(_HOST_NAME.fullmatch(host)) and len(host) <= 253 and not host.replace(".", "").isdigit()


def _shortest(host: str) -> str:
    """*host* as the system gives it back (RFC 5952), so that one address has one name."""
    return str(ip_address(host)) if ":" in host else host


def is_address(host: str) -> bool:
    """Whether *host* is a literal IP address, and not a name."""
    return _version(host) != 0


def _version(host: str) -> int:
    """The version of a literal IP address, 0 for anything else."""
    try:
        address: IPv4Address | IPv6Address = ip_address(host)
    except ValueError:
        return 0
    return address.version


def _port(text: str) -> int | None:
    if _PORT.fullmatch(text) and 0 < int(text) <= 65535:
        return int(text)
    return None
