"""Are our milters on the ports they belong on, in their order, and able to see a message there?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gatepost.config.dkim_settings import DkimVerify
from gatepost.config.words import listed
from gatepost.networks import Networks
from gatepost.postfix.finding import Finding, error, in_service, warning
from gatepost.postfix.pipeline import MILTERS, Pipeline
from gatepost.postfix.port import Port


def check_milters(pipeline: Pipeline, ports: Sequence[Port]) -> Iterator[Finding]:
    """Look at every port, and at the way in through several."""
    checker = _Checker(pipeline)
    for port in ports:
        yield from checker.any_port(port)
        if port in pipeline.borders:
            yield from checker.border(port)
        elif port in pipeline.backs:
            yield from checker.back(port)
    yield from checker.way_in()


class _Checker:
    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def any_port(self, port: Port) -> Iterator[Finding]:
        """What holds for a port of any kind."""
        roster, ours = self._pipeline.roster, port.ours
        if port.switched_off:
            options = [
                word
                for word in self._pipeline.instance.items("receive_override_options", port.service)
                if word != "no_milters"
            ]
            text = "no_milters switches the milters of this port off"
            yield error(port.service, text, in_service(port.service, "receive_override_options", options))
        for name in dict.fromkeys(ours):
            if ours.count(name) > 1:
                yield error(
                    port.service,
                    f"{name} stands here {ours.count(name)} times",
                    self._pipeline.mend(port, ours),
                )
        for kind in (roster.verify, roster.sign, roster.enforce, roster.stamp):
            same = [name for name in kind if name in ours]
            if len(same) > 1:
                rest = [name for name in ours if name not in same[1:]]
                text = f"{listed(same, 'and')} do the same work here, one after the other"
                yield warning(port.service, text, self._pipeline.mend(port, rest))
        if not port.proxy_filter and _late(ours, roster.verify, roster.dmarc):
            early = next(name for name in ours if name in roster.dmarc)
            text = f"{early} stands before dkim-verify: it does that one's work again, and seals stay in the mail"
            yield error(port.service, text, self._pipeline.mend(port, ours))

    # -- mail from the world

    def border(self, port: Port) -> Iterator[Finding]:
        """A port for the world's mail."""
        roster = self._pipeline.roster
        if port.proxy_filter:
            if port.milters:
                who = listed([name or endpoint.text for endpoint, name in port.milters], "and")
                text = (
                    f"beside smtpd_proxy_filter no milter sees a header or body: {who} examine nothing here;"
                    " they belong on the port behind the filter"
                )
                yield error(port.service, text, in_service(port.service, MILTERS, ""))
            return
        last = [] if port.content_filter else [roster.last] if roster.last else []
        wanted = list(dict.fromkeys([*roster.verify[:1], *roster.enforce[:1], *last]))
        yield from self._pipeline.missing(port, wanted, "mail from the world passes it by")
        if port.content_filter and port.has(roster.stamp) and port.has(roster.enforce):
            text = f"{roster.stamp[0]} has nothing to do before the content filter, and takes its seals away"
            rest = [name for name in port.ours if name not in roster.stamp]
            yield error(port.service, text, self._pipeline.mend(port, rest))
        yield from self._peers(port)

    def _peers(self, port: Port) -> Iterator[Finding]:
        """Somebody else verifies at the border, and we stand inside."""
        roster = self._pipeline.roster
        inside = [back for back in self._pipeline.backs if back.has([*roster.verify, *roster.dmarc])]
        others = self._pipeline.strangers(port)
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
        roster = self._pipeline.roster
        if port.has(roster.sign) and port.has([*roster.verify, *roster.dmarc]):
            text = f"{roster.sign[0]} would sign what strangers send under our name: every client here is one of us"
            rest = [name for name in port.ours if name not in roster.sign]
            yield error(port.service, text, self._pipeline.mend(port, rest))
        if port.has(roster.enforce) and not self._pipeline.proxied:
            text = f"{roster.enforce[0]} behind the queue: who sent the mail has gone, a refusal would become a bounce"
            rest = [name for name in port.ours if name not in roster.enforce]
            yield error(port.service, text, self._pipeline.mend(port, rest))
        if port.has([*roster.milters]):
            yield from self._trust(port)

    def _trust(self, port: Port) -> Iterator[Finding]:
        host = port.service.name.rpartition(":")[0].strip("[]")
        host = "127.0.0.1" if host in ("", "localhost") else host
        config = self._pipeline.roster.config
        local = host.startswith("127.") or host == "::1"
        if local and host not in Networks(config.trusted_networks):
            networks = ", ".join(f'"{network}"' for network in [*config.trusted_networks, host])
            text = f"the filter hands mail to {port.service} from {host}, which is not trusted"
            yield error("trusted_networks", text, f"trusted_networks: [{networks}] (gatepost.yaml)")

    def way_in(self) -> Iterator[Finding]:
        """What becomes of the world's mail between the filter and the mailbox."""
        roster = self._pipeline.roster
        if not (self._pipeline.proxied or self._pipeline.filtered):
            yield from self._needless_seal()
            return
        if not roster.last or not (self._pipeline.proxied or self._sealed()):
            return
        inward = [
            port for port in self._pipeline.backs if not port.has(roster.sign) or port.has([roster.last])
        ]
        inward = [port for port in inward if port.has([*roster.verify, *roster.dmarc])] or inward[:1]
        if self._pipeline.proxied:
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
        roster = self._pipeline.roster
        sealing = (roster[name] for name in roster.verify)
        return bool(roster.dmarc) or any(isinstance(each, DkimVerify) and each.seal for each in sealing)

    def _before_queue(self, inward: Sequence[Port]) -> Iterator[Finding]:
        roster = self._pipeline.roster
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
            yield from self._pipeline.missing(inward[0], self._pipeline.roster.in_order(wanted), what)
        else:
            addresses = ", ".join(map(self._pipeline.address, self._pipeline.roster.in_order(wanted)))
            text = f"no port takes mail back from the filter with {listed(wanted, 'and')}: {what}"
            yield error(
                "master.cf", text, f"127.0.0.1:10025 inet n - n - - smtpd -o {{ {MILTERS} = {addresses} }}"
            )

    def _needless_seal(self) -> Iterator[Finding]:
        roster = self._pipeline.roster
        for name in roster.verify:
            settings = roster[name]
            used = any(name in port.ours for port in self._pipeline.borders)
            if isinstance(settings, DkimVerify) and settings.seal and used and not roster.dmarc:
                text = "nobody reads its seals, and they stay in the mail: no content filter, no dmarc daemon"
                yield warning(f"daemons.{name}.seal", text, "seal: no (gatepost.yaml)")


def _late(names: Sequence[str], first: Iterable[str], then: Iterable[str]) -> bool:
    """Whether one of *first* stands in *names* behind one of *then*."""
    places = {name: position for position, name in enumerate(names)}
    before = [places[name] for name in first if name in places]
    after = [places[name] for name in then if name in places]
    return bool(before and after) and max(before) > min(after)
