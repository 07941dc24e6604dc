"""Parameters and options that make the pipeline weaker, whatever stands where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

from gatepost.postfix.finding import Finding, error, hint, in_main, in_service, warning
from gatepost.postfix.instance import Instance, Service
from gatepost.postfix.port import Port
from gatepost.postfix.roster import Roster
from gatepost.postfix.version import OLDEST_MAINTAINED, miscounts_headers, release_line

_ACTION = "milter_default_action"
_PROTOCOL = "milter_protocol"
_BARE_NEWLINE = "smtpd_forbid_bare_newline"
_SHUTDOWN_SINCE = (3, 11)

Network = IPv4Network | IPv6Network


def check_settings(instance: Instance, roster: Roster, ports: Sequence[Port]) -> Iterator[Finding]:
    """Look at the version, at what Postfix does without us, at who is one of us."""
    yield from _version(instance, roster)
    yield from _default_action(instance, ports)
    yield from _protocol(instance, ports)
    yield from _bare_newline(instance, ports)
    yield from _networks(instance, roster)
    yield from _unsealed(roster)
    yield from _idle(roster, ports)


def _version(instance: Instance, roster: Roster) -> Iterator[Finding]:
    version = instance.value("mail_version")
    line = release_line(version)
    if line is None:
        return
    if miscounts_headers(version):
        text = (
            f"Postfix {version} removes the wrong header field after a policy service's PREPEND:"
            " a forged result may stay"
        )
        level = error if roster.policies and (roster.verify or roster.dmarc) else warning
        yield level("mail_version", text, "update to 3.5.25, 3.6.15, 3.7.11, 3.8.6 or later")
    elif line < OLDEST_MAINTAINED:
        oldest = ".".join(map(str, OLDEST_MAINTAINED))
        text = f"Postfix {version} is mended by its distribution at best, no longer by its authors"
        yield hint("mail_version", text, f"update to {oldest} or later")


def _with_ours(ports: Sequence[Port]) -> list[Port]:
    return [port for port in ports if port.ours]


def _own(name: str, port: Port) -> Service | None:
    """The service where a parameter is its own; None where main.cf speaks for it."""
    return port.service if name in port.service.options else None


def _default_action(instance: Instance, ports: Sequence[Port]) -> Iterator[Finding]:
    """What Postfix does while a daemon is down: of main.cf, of a port, of one milter."""
    line = release_line(instance.value("mail_version"))
    best = "shutdown" if line is not None and line >= _SHUTDOWN_SINCE else "tempfail"
    told: set[str] = set()
    for port in _with_ours(ports):
        service = _own(_ACTION, port)
        mend = in_service(service, _ACTION, best) if service else in_main(_ACTION, best)
        place = f"{service}/{_ACTION}" if service else _ACTION
        actions = {place: instance.value(_ACTION, service)}
        for endpoint, name in port.milters:
            if name and _action_of(endpoint.options):
                actions[f"{port.service}/smtpd_milters {endpoint.text}"] = _action_of(endpoint.options)
        for where, action in actions.items():
            fault = _fault(action.lower(), line)
            if fault and where not in told:
                told.add(where)
                yield warning(
                    where, f"{action}: {fault}", mend if where == place else f"default_action={best}"
                )


def _action_of(options: object) -> str:
    return str(options.get("default_action", "")) if isinstance(options, dict) else ""


def _fault(action: str, line: tuple[int, int] | None) -> str:
    if action == "accept":
        return "while a daemon is down, forged results come in, nothing is refused and mail goes out unsigned"
    if action == "reject":
        return "while a daemon restarts, mail is refused for good"
    if action == "quarantine":
        return "while a daemon is down, mail is held until somebody looks"
    if action == "shutdown" and line is not None and line < _SHUTDOWN_SINCE:
        return "this Postfix does not know it (3.11 does), and takes it for tempfail"
    return ""


def _protocol(instance: Instance, ports: Sequence[Port]) -> Iterator[Finding]:
    told: set[str] = set()
    for port in _with_ours(ports):
        service = _own(_PROTOCOL, port)
        place = f"{service}/{_PROTOCOL}" if service else _PROTOCOL
        version = instance.value(_PROTOCOL, service)
        if version[:1].isdigit() and int(version[:1]) < 6 and place not in told:
            told.add(place)
            text = f"version {version[:1]} hides the white space of header fields, and strict signatures fail"
            yield error(
                place, text, in_service(service, _PROTOCOL, "6") if service else in_main(_PROTOCOL, "6")
            )


def _bare_newline(instance: Instance, ports: Sequence[Port]) -> Iterator[Finding]:
    if not ports:
        return
    smuggling = "one mail can smuggle in another, which bears the sender's good name"
    if _BARE_NEWLINE not in instance.defaults:
        if release_line(instance.value("mail_version")) is not None:
            yield warning(_BARE_NEWLINE, f"this Postfix does not know it: {smuggling}", "update Postfix")
        return
    for service in [None, *(port.service for port in ports if _own(_BARE_NEWLINE, port))]:
        if instance.value(_BARE_NEWLINE, service).lower() == "no":
            place = f"{service}/{_BARE_NEWLINE}" if service else _BARE_NEWLINE
            mend = (
                in_service(service, _BARE_NEWLINE, "normalize")
                if service
                else in_main(_BARE_NEWLINE, "normalize")
            )
            yield warning(place, f"no: {smuggling}", mend)


def _networks(instance: Instance, roster: Roster) -> Iterator[Finding]:
    """Hosts that are ours for one and strangers for the other."""
    if not (roster.verify or roster.sign or roster.dmarc):
        return
    trusted = list(roster.config.trusted_networks)
    read = map(_network, instance.items("mynetworks"))
    mine = list(dict.fromkeys(network for network in read if network is not None))
    every = any(":" in word and "[" not in word for word in instance.items("mynetworks"))
    beyond = [network for network in mine if not _within(network, trusted)]
    if beyond:
        shown = ", ".join(map(str, beyond))
        text = f"{shown} may relay through Postfix, but is not in trusted_networks: its mail is not signed"
        others = [network for network in trusted if not _within(network, beyond)]
        networks = ", ".join(f'"{network}"' for network in [*others, *beyond])
        yield warning("mynetworks", text, f"trusted_networks: [{networks}] (gatepost.yaml)")
    strangers = [network for network in trusted if not _within(network, mine)]
    if strangers and not every:
        shown = ", ".join(map(str, strangers))
        text = (
            f"{shown} is trusted, but a stranger to Postfix: its mail is not verified, and is signed as ours"
        )
        mynetworks = " ".join(map(_written, [*mine, *strangers]))
        yield warning("trusted_networks", text, in_main("mynetworks", mynetworks))


def _network(word: str) -> Network | None:
    """A word of mynetworks: ``192.0.2.0/24``, ``[::1]/128``, ``[::ffff:127.0.0.0]/104``.

    None for a table, an exception or a slip.
    """
    try:
        network = ip_network(word.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return None
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    return ip_network(f"{mapped}/{network.prefixlen - 96}") if mapped and network.prefixlen >= 96 else network


def _written(network: Network) -> str:
    return str(network) if network.version == 4 else f"[{network.network_address}]/{network.prefixlen}"


def _within(network: Network, others: Sequence[Network]) -> bool:
    for other in others:
        if isinstance(network, IPv4Network) and isinstance(other, IPv4Network) and network.subnet_of(other):
            return True
        if isinstance(network, IPv6Network) and isinstance(other, IPv6Network) and network.subnet_of(other):
            return True
    return False


def _unsealed(roster: Roster) -> Iterator[Finding]:
    believed = roster.config.believe_unsealed_from
    if believed:
        shown = ", ".join(map(str, believed))
        text = (
            f"whoever hands in mail from {shown} (a content filter with a stranger's mail, a program of this host)"
            f" can write any result under {roster.config.authserv_id}"
        )
        yield warning("believe_unsealed_from", text, "leave it out once the peer is gone")


def _idle(roster: Roster, ports: Sequence[Port]) -> Iterator[Finding]:
    """Daemons that nobody asks, of those that no other check expects in a certain place."""
    if not ports:
        yield error("master.cf", "there is no smtpd service: postfix takes no mail by SMTP")
        return
    asked = {name for port in ports for name in port.ours}
    for names in (roster.verify, roster.enforce, roster.stamp, roster.sign):
        for name in names[1:]:
            if name not in asked:
                yield hint(f"daemons.{name}", "no port asks it")
