"""One smtpd(8) service seen whole: whose mail it takes, which milters and policy services it asks, where mail goes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gatepost.postfix.endpoint import Endpoint
from gatepost.postfix.instance import Instance, Service
from gatepost.postfix.roster import Roster

RESTRICTIONS = tuple(
    f"smtpd_{stage}_restrictions"
    for stage in ("client", "helo", "sender", "relay", "recipient", "data", "end_of_data")
)
"""The lists of restrictions, in the order in which they count (smtpd_relay_before_recipient_restrictions)."""

_SUBMISSION = frozenset({"submission", "submissions", "smtps", "587", "465"})
_FINAL = frozenset({"reject", "permit", "defer"})


class Role(StrEnum):
    """Whose mail a port takes."""

    BORDER = "border"
    """The world's."""
    SUBMISSION = "submission"
    """That of users who log in."""
    BACK = "back"
    """What a content filter hands back; or other hosts and programs of ours."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A policy service in a list of restrictions.

    ``before`` are the restrictions ahead of it in this list.
    """

    endpoint: Endpoint
    daemon: str
    parameter: str
    before: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Port:
    """The service, and what its parameters come to.

    ``milters`` are all entries with the name of the daemon of ours, "" for
    others'; none where no_milters switches them ``off``, which is odd where the
    service itself names some (``switched_off``).
    """

    service: Service
    role: Role
    milters: tuple[tuple[Endpoint, str], ...]
    policies: tuple[Asked, ...]
    content_filter: str
    proxy_filter: str
    off: bool
    switched_off: bool

    @property
    def ours(self) -> list[str]:
        """Our milters on this port, in their order."""
        return [name for _, name in self.milters if name]

    def has(self, names: list[str]) -> bool:
        """Whether one of *names* is among our milters here."""
        return any(name in names for name in self.ours)


def ports(instance: Instance, roster: Roster) -> list[Port]:
    """All smtpd services."""
    return [_port(service, instance, roster) for service in instance.services if service.command == "smtpd"]


def _port(service: Service, instance: Instance, roster: Roster) -> Port:
    entries = [
        Endpoint.parse(word, instance, service)
        for word in instance.items("smtpd_milters", service)
        if word.lower() != "disable"
    ]
    overrides = instance.items("receive_override_options", service)
    off = bool(entries) and "no_milters" in overrides
    return Port(
        service=service,
        role=_role(service, instance),
        milters=() if off else tuple((entry, roster.find(entry)) for entry in entries),
        policies=tuple(_policies(service, instance, roster)),
        content_filter=instance.value("content_filter", service),
        proxy_filter=instance.value("smtpd_proxy_filter", service),
        off="no_milters" in overrides,
        # Milters for all in main.cf, and none here, is how a port behind a filter may be meant.
        switched_off=off and "smtpd_milters" in service.options,
    )


def _role(service: Service, instance: Instance) -> Role:
    if service.port in _SUBMISSION:
        return Role.SUBMISSION
    for parameter in RESTRICTIONS:
        items = instance.items(parameter, service)
        if "reject" in items:
            before = items[: items.index("reject")]
            if "permit_sasl_authenticated" in before:
                return Role.SUBMISSION
            if "permit_mynetworks" in before:
                return Role.BACK
    if service.options.get("smtpd_sasl_auth_enable") == "yes" and service.port not in ("smtp", "25"):
        return Role.SUBMISSION
    return Role.BORDER


def _policies(service: Service, instance: Instance, roster: Roster) -> list[Asked]:
    found = []
    for parameter in RESTRICTIONS:
        items = instance.items(parameter, service)
        for position, word in enumerate(items[:-1]):
            if word == "check_policy_service":
                endpoint = Endpoint.parse(items[position + 1], instance, service)
                name = roster.find(endpoint) or _spawned(endpoint, instance, roster)
                found.append(Asked(endpoint, name, parameter, tuple(items[:position])))
    return found


def spawner(endpoint: Endpoint, instance: Instance) -> Service | None:
    """The service of master.cf that starts a process for each connection to *endpoint* (spawn(8))."""
    for folder in ("private", "public"):
        name = endpoint.path.removeprefix(f"{instance.queue_directory}/{folder}/")
        service = instance.service(name, "unix")
        if name != endpoint.path and service is not None and service.command == "spawn":
            return service
    return None


def _spawned(endpoint: Endpoint, instance: Instance, roster: Roster) -> str:
    service = spawner(endpoint, instance)
    if service is None or not any("gatepost" in word for word in service.arguments):
        return ""
    return next((word for word in service.arguments if word in roster.policies), "")


def never_asked(asked: Asked) -> str:
    """The restriction that ends the list before *asked* is reached; "" where it is reached."""
    return next((word for word in asked.before if word in _FINAL), "")
