"""What has to fit together: options that are right one by one and wrong beside each other."""

from __future__ import annotations

import os.path
import string
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from gatepost.config.dkim_settings import DkimSign
from gatepost.config.document import Path
from gatepost.config.greylist_settings import Greylist
from gatepost.config.host import Host
from gatepost.config.sections import Daemon, Limits
from gatepost.config.settings import Config
from gatepost.config.spf_settings import Spf
from gatepost.config.types import SocketAddress
from gatepost.config.words import quoted

_POSTFIX_PATIENCE = 30.0
"""Seconds that Postfix waits for a milter's answer (milter_command_timeout)."""
_POSTFIX_PATIENCE_WITH_POLICY = 100.0
"""Seconds that Postfix waits for a policy service's answer (smtpd_policy_service_timeout)."""
_POSTFIX_SILENCE = 300.0
"""Seconds for which Postfix lets a client be silent (smtpd_timeout), and itself is."""
_POSTFIX_PACKET = 65536
"""Octets of the largest packet that Postfix sends to a milter (MILTER_CHUNK_SIZE and the command)."""
_GROUP_ALONE = "a group is only taken together with a user: add user"


class Finding(NamedTuple):
    """Something found at *path*. ``taken_by`` names the other option where two want the same."""

    path: Path
    text: str
    taken_by: Path | None = None


def check_common(config: Config, host: Host) -> Iterator[Finding]:
    """Check what stands outside the daemons."""
    yield from _accounts((), config.user, config.group, host)
    userless = {name: daemon for name, daemon in config.daemons.items() if not (daemon.user or config.user)}
    if userless and config.group is not None:
        yield Finding(("group",), _GROUP_ALONE)
    for name, daemon in userless.items():
        if daemon.group is not None:
            yield Finding(("daemons", name, "group"), _GROUP_ALONE)


def warn_common(config: Config, authserv_id_given: bool) -> Iterator[Finding]:
    """Give what works, but hardly as it is meant."""
    if config.dns.message_timeout >= _POSTFIX_PATIENCE:
        text = "Postfix waits 30s for a milter, and then does without: a time below 30s is better"
        yield Finding(("dns", "message_timeout"), text)
    if not authserv_id_given and "." not in config.authserv_id:
        text = f"not given, and this host has only a short name, {config.authserv_id}:"
        yield Finding(("authserv_id",), f'{text} add such as "authserv_id: mail.example.nl"')
    for name, daemon in config.daemons.items():
        limits: Path = ("daemons", name, "limits")
        warnings = _policy_limits if isinstance(daemon, Spf | Greylist) else _milter_limits
        for option, text in warnings(daemon.limits):
            yield Finding((*limits, option), text)


def _policy_limits(limits: Limits) -> Iterator[tuple[str, str]]:
    if limits.answer_timeout >= _POSTFIX_PATIENCE_WITH_POLICY:
        yield "answer_timeout", "Postfix waits 100s for an answer, and then defers the mail: take less"


def _milter_limits(limits: Limits) -> Iterator[tuple[str, str]]:
    if limits.packet < _POSTFIX_PACKET:
        yield "packet", "Postfix sends 64k of a body at once: with less, larger mail is put off"
    if limits.idle_timeout < _POSTFIX_SILENCE:
        text = (
            "Postfix is silent for as long as its client may be, 5m: with less, slow clients' mail is put off"
        )
        yield "idle_timeout", text


def check_daemons(daemons: Mapping[str, Daemon], host: Host) -> Iterator[Finding]:
    """Check each of *daemons*, and all of them against each other."""
    for name, daemon in daemons.items():
        at: Path = ("daemons", name)
        yield from _accounts(at, daemon.user, daemon.group, host)
        for number, address in enumerate(daemon.socket):
            if address.group is not None and not host.group_exists(address.group):
                yield Finding((*at, "socket", number, "group"), _no_group(address.group))
        if daemon.engine == "libmilter":
            yield from _libmilter(at, daemon, host)
        if isinstance(daemon, DkimSign):
            yield from _key_sources(at, daemon)
    yield from _clashes(daemons)


def _accounts(at: Path, user: str | None, group: str | None, host: Host) -> Iterator[Finding]:
    if user is not None and not host.user_exists(user):
        yield Finding((*at, "user"), _no_user(user))
    if group is not None and not host.group_exists(group):
        yield Finding((*at, "group"), _no_group(group))


def _no_user(user: str) -> str:
    return f"there is no user {quoted(user)} on this host: correct the name, or make it with useradd --system"


def _no_group(group: str) -> str:
    return (
        f"there is no group {quoted(group)} on this host: correct the name, or make it with groupadd --system"
    )


def _libmilter(at: Path, daemon: Daemon, host: Host) -> Iterator[Finding]:
    if isinstance(daemon, Spf | Greylist):
        text = (
            "libmilter is for milters; this is a policy service, which has one engine: leave the option out"
        )
        yield Finding((*at, "engine"), text)
        return
    if not host.has_pymilter():
        text = "libmilter needs the Python package pymilter, which is not installed (or leave the option out)"
        yield Finding((*at, "engine"), text)
    if daemon.workers > 1:
        text = (
            f"engine: libmilter runs with one worker, not {daemon.workers}: leave one of the two options out"
        )
        yield Finding((*at, "workers"), text)
    if len(daemon.socket) > 1:
        text = f"engine: libmilter serves one socket, not {len(daemon.socket)}: name one, or leave engine out"
        yield Finding((*at, "socket"), text)


def _key_sources(at: Path, daemon: DkimSign) -> Iterator[Finding]:
    if not (daemon.keys or daemon.key_path or daemon.key_table or daemon.signing_table or daemon.key_list):
        yield Finding(at, "there is no key to sign with: add keys, key_path, signing_table or key_list")
    if daemon.key_table and not daemon.signing_table:
        text = "key_table names keys, but not for whom: add signing_table"
        yield Finding((*at, "key_table"), text)
    if daemon.signing_table and not daemon.key_table:
        text = "signing_table names keys, but not where they are: add key_table"
        yield Finding((*at, "signing_table"), text)
    if daemon.key_path is not None:
        fault = _key_path_fault(daemon.key_path)
        if fault:
            yield Finding((*at, "key_path"), fault)


def _key_path_fault(template: str) -> str:
    example = "such as /var/lib/gatepost/dkim/{domain}.{selector}.key"
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:
        return f'a "{{" or "}}" is without its other half; expected a path {example}'
    names = {name for _, name, _, _ in parts if name is not None}
    unknown = sorted(names - {"domain", "selector"})
    if unknown or any(spec or conversion for _, _, spec, conversion in parts):
        return f"only {{domain}} and {{selector}} can stand in it, {example}"
    if "domain" not in names:
        return f"{{domain}} is missing; expected a path {example}"
    if not template.startswith("/") or not template.isprintable():
        return f"expected a whole path, {example}"
    return ""


class _Endpoint(NamedTuple):
    path: Path
    address: SocketAddress


def _clashes(daemons: Mapping[str, Daemon]) -> Iterator[Finding]:
    """Find addresses that two would listen on. The one that stands later is at fault."""
    by_port: dict[object, list[_Endpoint]] = {}
    for endpoint in _endpoints(daemons):
        address = endpoint.address
        if address.family == "unix":
            place: object = os.path.normpath(address.path)
        else:
            place = (address.family, address.port)
        rivals = by_port.setdefault(place, [])
        for rival in rivals:
            if address.family == "unix" or _same_host(address, rival.address):
                shown = address.path if address.family == "unix" else f"port {address.port}"
                yield Finding(endpoint.path, f"{shown} is taken", rival.path)
                break
        rivals.append(endpoint)


def _endpoints(daemons: Mapping[str, Daemon]) -> Iterator[_Endpoint]:
    for name, daemon in daemons.items():
        for number, address in enumerate(daemon.socket):
            yield _Endpoint(("daemons", name, "socket", number), address)
        if daemon.metrics:
            host, port = daemon.metrics.host, daemon.metrics.port
            address = SocketAddress("inet6" if ":" in host else "inet", host, port)
            yield _Endpoint(("daemons", name, "metrics"), address)


_EVERY_HOST = ("0.0.0.0", "::")  # noqa: S104  # compared with, not bound
_LOOPBACK = {"inet": "127.0.0.1", "inet6": "::1"}


def _same_host(one: SocketAddress, other: SocketAddress) -> bool:
    """Whether two addresses of one family and port cannot both be listened on."""
    hosts = {_LOOPBACK[a.family] if a.host.lower() == "localhost" else a.host.lower() for a in (one, other)}
    return len(hosts) == 1 or any(host in _EVERY_HOST for host in hosts)
