"""Are our milters on the ports they belong on, in their order, and able to see a message there?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gatepost.config.dkim_settings import DkimVerify
from gatepost.config.words import listed
from gatepost.networks import Networks
from gatepost.postfix.endpoint import Endpoint
from gatepost.postfix.finding import Finding, error, hint, in_main, in_service, warning
from gatepost.postfix.instance import Instance
from gatepost.postfix.port import Port, Role
from gatepost.postfix.roster import Roster

_MILTERS = "smtpd_milters"


def check_milters(instance: Instance, roster: Roster, ports: Sequence[Port]) -> Iterator[Finding]:
    """Look at every port, and at the way of the mail through several."""
    checker = _Checker(instance, roster, ports)
    for port in ports:
        yield from checker.any_port(port)
        if port.role is Role.BORDER:
            yield from checker.border(port)
        elif port.role is Role.SUBMISSION:
            yield from checker.submission(port)
        else:
            yield from checker.back(port)
    yield from checker.way_in()
    yield from checker.way_out()
    yield from checker.local_programs()


class _Checker:
    def __init__(self, instance: Instance, roster: Roster, ports: Sequence[Port]) -> None:
        self._instance = instance
        self._roster = roster
        self._borders = [port for port in ports if port.role is Role.BORDER]
        self._users = [port for port in ports if port.role is Role.SUBMISSION]
        self._proxied = [port for port in self._borders if port.proxy_filter]
        self._filtered = [port for port in self._borders if port.content_filter and not port.proxy_filter]
        out = any(port.content_filter for port in self._users)
        # Without a filter, a port that is closed to the world is one more way in for our own programs.
        filters = bool(self._proxied or self._filtered or out)
        self._backs = [port for port in ports if port.role is Role.BACK and filters]

    def _mend(self, port: Port, names: Sequence[str]) -> str:
        """The command that puts *names* on *port*, behind the milters there that are none of ours."""
        written = {name: endpoint.word for endpoint, name in port.milters if name}
        ours = [written.get(name) or self._address(name) for name in self._roster.in_order(names)]
        return in_service(port.service, _MILTERS, [*self._strangers(port), *ours])

    def _strangers(self, port: Port) -> list[str]:
        """The milters that are none of ours, and were not meant to be, as written."""
        return [
            endpoint.word
            for endpoint, name in port.milters
            if not (name or endpoint.fault or self._roster.meant(endpoint)[0])
        ]

    def _address(self, name: str) -> str:
        return self._roster.address(name, self._instance.queue_directory)

    def any_port(self, port: Port) -> Iterator[Finding]:
        """What holds for a port of any kind."""
        roster, ours = self._roster, port.ours
        if port.switched_off:
            options = [
                word
                for word in self._instance.items("receive_override_options", port.service)
                if word != "no_milters"
            ]
            text = "no_milters switches the milters of this port off"
            yield error(port.service, text, in_service(port.service, "receive_override_options", options))
        for name in dict.fromkeys(ours):
            if ours.count(name) > 1:
                yield error(
                    port.service, f"{name} stands here {ours.count(name)} times", self._mend(port, ours)
                )
        for kind in (roster.verify, roster.sign, roster.enforce, roster.stamp):
            same = [name for name in kind if name in ours]
            if len(same) > 1:
                rest = [name for name in ours if name not in same[1:]]
                text = f"{listed(same, 'and')} do the same work here, one after the other"
                yield warning(port.service, text, self._mend(port, rest))
        if not port.proxy_filter and _late(ours, roster.verify, roster.dmarc):
            early = next(name for name in ours if name in roster.dmarc)
            text = f"{early} stands before dkim-verify: it does that one's work again, and seals stay in the mail"
            yield error(port.service, text, self._mend(port, ours))

    # -- mail from the world

    def border(self, port: Port) -> Iterator[Finding]:
        """A port for the world's mail."""
        roster = self._roster
        if port.proxy_filter:
            if port.milters:
                who = listed([name or endpoint.text for endpoint, name in port.milters], "and")
                text = (
                    f"beside smtpd_proxy_filter no milter sees a header or body: {who} examine nothing here;"
                    " they belong on the port behind the filter"
                )
                yield error(port.service, text, in_service(port.service, _MILTERS, ""))
            return
        last = [] if port.content_filter else [roster.last] if roster.last else []
        wanted = list(dict.fromkeys([*roster.verify[:1], *roster.enforce[:1], *last]))
        yield from self._missing(port, wanted, "mail from the world passes it by")
        if port.content_filter and port.has(roster.stamp) and port.has(roster.enforce):
            text = f"{roster.stamp[0]} has nothing to do before the content filter, and takes its seals away"
            rest = [name for name in port.ours if name not in roster.stamp]
            yield error(port.service, text, self._mend(port, rest))
        yield from self._peers(port)

    def _missing(self, port: Port, wanted: Sequence[str], what: str) -> Iterator[Finding]:
        missing = [name for name in wanted if name not in port.ours]
        if not missing:
            return
        others = self._strangers(port)
        strangers = f" (of {listed(others, 'and')} nothing is in our configuration)" if others else ""
        verb = "is" if len(missing) == 1 else "are"
        text = f"{listed(missing, 'and')} {verb} missing: {what}{strangers}"
        off = " without no_milters in receive_override_options" if port.off else ""
        yield error(port.service, text, self._mend(port, [*port.ours, *missing]) + off)

    def _peers(self, port: Port) -> Iterator[Finding]:
        """Somebody else verifies at the border, and we stand inside."""
        roster = self._roster
        inside = [back for back in self._backs if back.has([*roster.verify, *roster.dmarc])]
        others = self._strangers(port)
        if not others or port.has(roster.verify) or not inside or not port.content_filter:
            return
        if "127.0.0.1" not in Networks(roster.config.believe_unsealed_from):
            text = (
                f"what {listed(others, 'and')} writes under {roster.config.authserv_id} bears no seal,"
                f" and is removed on {inside[0].service}"
            )
            yield warning(
                port.service, text, "believe_unsealed_from: [127.0.0.1] (gatepost.yaml, for a migration)"
            )

    # -- behind the filter

    def back(self, port: Port) -> Iterator[Finding]:
        """A port that takes mail back from a content filter."""
        roster = self._roster
        if port not in self._backs:
            return
        if port.has(roster.sign) and port.has([*roster.verify, *roster.dmarc]):
            text = f"{roster.sign[0]} would sign what strangers send under our name: every client here is one of us"
            rest = [name for name in port.ours if name not in roster.sign]
            yield error(port.service, text, self._mend(port, rest))
        if port.has(roster.enforce) and not self._proxied:
            text = f"{roster.enforce[0]} behind the queue: who sent the mail has gone, a refusal would become a bounce"
            rest = [name for name in port.ours if name not in roster.enforce]
            yield error(port.service, text, self._mend(port, rest))
        if port.has([*roster.milters]):
            yield from self._trust(port)

    def _trust(self, port: Port) -> Iterator[Finding]:
        host = port.service.name.rpartition(":")[0].strip("[]")
        host = "127.0.0.1" if host in ("", "localhost") else host
        config = self._roster.config
        local = host.startswith("127.") or host == "::1"
        if local and host not in Networks(config.trusted_networks):
            networks = ", ".join(f'"{network}"' for network in [*config.trusted_networks, host])
            text = f"the filter hands mail to {port.service} from {host}, which is not trusted"
            yield error("trusted_networks", text, f"trusted_networks: [{networks}] (gatepost.yaml)")

    def way_in(self) -> Iterator[Finding]:
        """What becomes of the world's mail between the filter and the mailbox."""
        roster = self._roster
        if not (self._proxied or self._filtered):
            yield from self._needless_seal()
            return
        if not roster.last or not (self._proxied or self._sealed()):
            return
        inward = [port for port in self._backs if not port.has(roster.sign) or port.has([roster.last])]
        inward = [port for port in inward if port.has([*roster.verify, *roster.dmarc])] or inward[:1]
        if self._proxied:
            yield from self._before_queue(inward)
            return
        if roster.enforce and not roster.stamp:
            for port in inward:
                if port.has([*roster.verify, *roster.enforce]):
                    text = "results of port 25 come here without seals and are removed: a dmarc daemon has to stamp"
                    line = 'dmarc-stamp: {kind: dmarc, mode: stamp, socket: "inet:8894@127.0.0.1"} (gatepost.yaml)'
                    yield error(port.service, text, line)
            return
        wanted = [*roster.verify[:1], roster.last]
        if not any(roster.last in port.ours for port in inward):
            yield from self._nobody(inward, wanted, "nobody stamps the mail, and seals stay in it")

    def _sealed(self) -> bool:
        """Whether results are sealed, so that somebody has to take the seals out again."""
        roster = self._roster
        sealing = (roster[name] for name in roster.verify)
        return bool(roster.dmarc) or any(isinstance(each, DkimVerify) and each.seal for each in sealing)

    def _before_queue(self, inward: Sequence[Port]) -> Iterator[Finding]:
        roster = self._roster
        wanted = list(dict.fromkeys([*roster.verify[:1], *roster.enforce[:1], roster.last]))
        if not any(set(wanted) <= set(port.ours) for port in inward):
            what = "with smtpd_proxy_filter, this is where milters first see the mail of the world"
            yield from self._nobody(inward, wanted, what)
        for name in roster.verify:
            settings = roster[name]
            if isinstance(settings, DkimVerify) and not settings.verify_local:
                text = "with smtpd_proxy_filter all mail comes to it from 127.0.0.1, which it does not verify"
                yield error(f"daemons.{name}.verify_local", text, "verify_local: yes (gatepost.yaml)")

    def _nobody(self, inward: Sequence[Port], wanted: Sequence[str], what: str) -> Iterator[Finding]:
        if inward:
            yield from self._missing(inward[0], self._roster.in_order(wanted), what)
        else:
            addresses = ", ".join(map(self._address, self._roster.in_order(wanted)))
            text = f"no port takes mail back from the filter with {listed(wanted, 'and')}: {what}"
            yield error(
                "master.cf", text, f"127.0.0.1:10025 inet n - n - - smtpd -o {{ {_MILTERS} = {addresses} }}"
            )

    def _needless_seal(self) -> Iterator[Finding]:
        roster = self._roster
        for name in roster.verify:
            settings = roster[name]
            used = any(name in port.ours for port in self._borders)
            if isinstance(settings, DkimVerify) and settings.seal and used and not roster.dmarc:
                text = "nobody reads its seals, and they stay in the mail: no content filter, no dmarc daemon"
                yield warning(f"daemons.{name}.seal", text, "seal: no (gatepost.yaml)")

    # -- mail of users

    def submission(self, port: Port) -> Iterator[Finding]:
        """A port for mail of users who log in."""
        roster = self._roster
        if not roster.sign:
            return
        filtered = bool(port.content_filter or port.proxy_filter)
        behind = any(back.has(roster.sign) for back in self._backs)
        here = port.has(roster.sign)
        if not here and not (filtered and behind):
            text = f"{roster.sign[0]} is missing: what users send here is not signed"
            if not filtered or self._one_filter_for_all(port):
                yield error(port.service, text, self._mend(port, [*port.ours, roster.sign[0]]))
            elif not self._outward():
                line = f"127.0.0.1:10027 inet n - n - - smtpd -o {{ {_MILTERS} = {self._address(roster.sign[0])} }}"
                yield error(port.service, f"{text}, neither here nor behind the filter", line)
        elif here and filtered and behind:
            rest = [name for name in port.ours if name not in roster.sign]
            yield warning(
                port.service,
                f"{roster.sign[0]} signs here and again behind the filter",
                self._mend(port, rest),
            )

    def _one_filter_for_all(self, port: Port) -> bool:
        """Whether mail of users and of the world come back from the filter on the same port."""
        return any(port.content_filter == each.content_filter for each in self._filtered)

    def _outward(self) -> list[Port]:
        """The ports behind the filter that may be meant for the way out: they have nothing of the way in."""
        roster = self._roster
        free = [port for port in self._backs if not port.has([*roster.verify, *roster.dmarc])]
        inward_unknown = len(free) == len(self._backs) and (self._proxied or self._filtered)
        return free[1:] if inward_unknown else free

    def way_out(self) -> Iterator[Finding]:
        """The ports between the filter and the world."""
        roster = self._roster
        if not roster.sign or any(port.has(roster.sign) for port in self._backs):
            return
        waiting = [
            port
            for port in self._users
            if port.content_filter and not port.has(roster.sign) and not self._one_filter_for_all(port)
        ]
        outward = self._outward()
        if waiting and outward:
            port = outward[-1]
            what = (
                f"what users send on {listed([str(each.service) for each in waiting], 'and')} is not signed"
            )
            yield from self._missing(port, roster.sign[:1], what)

    def local_programs(self) -> Iterator[Finding]:
        """Mail that sendmail(1) brings in: cleanup(8) asks non_smtpd_milters."""
        roster, instance = self._roster, self._instance
        cleanup = instance.service("cleanup", "unix")
        if cleanup is None:
            return
        entries = [
            Endpoint.parse(word, instance, cleanup) for word in instance.items("non_smtpd_milters", cleanup)
        ]
        names = [roster.find(entry) for entry in entries]
        kept = [entry.word for entry, name in zip(entries, names, strict=True) if name not in roster.dmarc]
        signs = any(name in roster.sign for name in names)
        signing = [self._address(roster.sign[0])] if roster.sign and not signs else []
        mend = in_main("non_smtpd_milters", ", ".join([*kept, *signing]))
        refusing = [name for name in names if name in roster.enforce]
        if refusing:
            text = f"{refusing[0]} would refuse mail of local programs (cron): it has no SPF and no signature yet"
            yield warning("non_smtpd_milters", text, mend)
        elif signing and not instance.value("content_filter", instance.service("pickup", "unix")):
            yield hint("non_smtpd_milters", "mail of local programs is not signed", mend)


def _late(names: Sequence[str], first: Iterable[str], then: Iterable[str]) -> bool:
    """Whether one of *first* stands in *names* behind one of *then*."""
    places = {name: position for position, name in enumerate(names)}
    before = [places[name] for name in first if name in places]
    after = [places[name] for name in then if name in places]
    return bool(before and after) and max(before) > min(after)
