"""Are spf and greylist asked, at the right moment, and waited for?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gatepost.postfix.finding import Finding, error, hint, in_main, in_service, warning
from gatepost.postfix.instance import Instance
from gatepost.postfix.port import Asked, Port, Role, never_asked, spawner
from gatepost.postfix.roster import Roster

_RECIPIENT = "smtpd_recipient_restrictions"
_RELAY = "smtpd_relay_restrictions"
_NO_RELAY = frozenset({"reject_unauth_destination", "defer_unauth_destination"})
_ASK = "check_policy_service"
_TIMEOUT = "smtpd_policy_service_timeout"


def check_policies(instance: Instance, roster: Roster, ports: Sequence[Port]) -> Iterator[Finding]:
    """Look at the lists of restrictions of all ports for the world's mail."""
    borders = [port for port in ports if port.role is Role.BORDER]
    for port in borders:
        for name in roster.policies:
            yield from _one(instance, roster, port, name)
        yield from _order(roster, port)
        yield from _peers(roster, port)


def _one(instance: Instance, roster: Roster, port: Port, name: str) -> Iterator[Finding]:
    asked = [each for each in port.policies if each.daemon == name]
    if not asked:
        text = f"{name} is not asked"
        yield (error if name in roster.spf else warning)(port.service, text, _ask(instance, roster, port))
        return
    per_list = [each.parameter for each in asked]
    if len(set(per_list)) < len(per_list):
        yield warning(port.service, f"{name} is asked twice in {per_list[0]}")
    for each in asked:
        ending = never_asked(each)
        if ending:
            yield error(
                port.service, f"{name} stands behind {ending} in {each.parameter}, and is never asked"
            )
        elif not _after_relaying(instance, port, each):
            text = f"{name} is asked about mail that is refused anyway: {each.parameter} has it too early"
            yield warning(port.service, text, _ask(instance, roster, port))
        yield from _patience(instance, roster, port, each)


def _ask(instance: Instance, roster: Roster, port: Port) -> str:
    """The command that has our services asked, each once, as soon as relaying has been refused."""
    ours = {f"{_ASK} {each.endpoint.word}" for each in port.policies if each.daemon}
    kept = [check for check in _checks(instance.items(_RECIPIENT, port.service)) if check not in ours]
    if not _NO_RELAY & set(kept):
        kept.append("reject_unauth_destination")
    place = next(position for position, check in enumerate(kept) if check in _NO_RELAY) + 1
    names = [*roster.spf[:1], *roster.greylist[:1]]
    asked = [f"{_ASK} {roster.address(name, instance.queue_directory)}" for name in names]
    restrictions = ", ".join([*kept[:place], *asked, *kept[place:]])
    if _RECIPIENT in port.service.options:
        return in_service(port.service, _RECIPIENT, restrictions)
    return in_main(_RECIPIENT, restrictions)


def _checks(items: Sequence[str]) -> list[str]:
    """Restrictions with the policy services joined to their addresses."""
    joined: list[str] = []
    for word in items:
        if joined and joined[-1] == _ASK:
            joined[-1] = f"{_ASK} {word}"
        else:
            joined.append(word)
    return joined


def _after_relaying(instance: Instance, port: Port, asked: Asked) -> bool:
    """Whether relaying to others has been refused by the time a policy service is asked."""
    if asked.parameter.startswith(("smtpd_data", "smtpd_end_of_data")) or _NO_RELAY & set(asked.before):
        return True
    if asked.parameter != _RECIPIENT:
        return False
    # Without the parameter, Postfix is older than 3.6 and had them the other way round.
    first = instance.yes("smtpd_relay_before_recipient_restrictions", port.service)
    return first and bool(_NO_RELAY & set(instance.items(_RELAY, port.service)))


def _patience(instance: Instance, roster: Roster, port: Port, asked: Asked) -> Iterator[Finding]:
    needed = roster[asked.daemon].limits.answer_timeout
    text = asked.endpoint.options.get("timeout") or instance.value(_TIMEOUT, port.service)
    waits = instance.seconds(text)
    if waits is not None and waits <= needed:
        yield warning(
            _TIMEOUT,
            f"Postfix waits {waits:g} s for {asked.daemon}, which may take {needed:g} s: mail is put off meanwhile",
            in_main(_TIMEOUT, "100s"),
        )
    service = spawner(asked.endpoint, instance)
    if service is not None:
        limit = f"{service.name}_time_limit"
        left = instance.seconds(instance.value(limit) or instance.value("command_time_limit") or "1000s")
        if left is not None and left < 3600:
            text = f"Postfix ends the process of {asked.daemon} after {left:g} s, in the middle of a session"
            yield warning(limit, text, in_main(limit, "3600s"))


def _order(roster: Roster, port: Port) -> Iterator[Finding]:
    names = [each.daemon for each in port.policies if each.parameter == _RECIPIENT]
    greylists = [names.index(name) for name in roster.greylist if name in names]
    checks = [names.index(name) for name in roster.spf if name in names]
    if greylists and checks and min(greylists) < min(checks):
        text = "greylist is asked before spf: what SPF refuses for good is put off first"
        yield hint(port.service, text)


def _peers(roster: Roster, port: Port) -> Iterator[Finding]:
    """Another SPF service, whose field ours would take for forged."""
    if not (roster.verify or roster.dmarc):
        return
    for each in port.policies:
        if not each.daemon and "spf" in each.endpoint.text.lower():
            text = (
                f"{each.endpoint.text} is none of ours: an Authentication-Results field of its own under"
                f" {roster.config.authserv_id} bears no seal, and is removed"
            )
            yield warning(port.service, text, f"take {_ASK} {each.endpoint.word} out of {each.parameter}")
