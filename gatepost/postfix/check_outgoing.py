"""Is what our users send signed, once, as the last thing before it leaves?"""

from __future__ import annotations

from collections.abc import Iterator

from gatepost.config.words import listed
from gatepost.postfix.endpoint import Endpoint
from gatepost.postfix.finding import Finding, error, hint, in_main, warning
from gatepost.postfix.pipeline import MILTERS, Pipeline
from gatepost.postfix.port import Port


def check_outgoing(pipeline: Pipeline) -> Iterator[Finding]:
    """Look at the ports for users, at those behind the filter, and at what local programs hand in."""
    checker = _Checker(pipeline)
    for port in pipeline.users:
        yield from checker.submission(port)
    yield from checker.way_out()
    yield from checker.local_programs()


class _Checker:
    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def submission(self, port: Port) -> Iterator[Finding]:
        """A port for mail of users who log in."""
        roster = self._pipeline.roster
        if not roster.sign:
            return
        filtered = bool(port.content_filter or port.proxy_filter)
        behind = any(back.has(roster.sign) for back in self._pipeline.backs)
        here = port.has(roster.sign)
        if not here and not (filtered and behind):
            text = f"{roster.sign[0]} is missing: what users send here is not signed"
            if not filtered or self._one_filter_for_all(port):
                yield error(port.service, text, self._pipeline.mend(port, [*port.ours, roster.sign[0]]))
            elif not self._outward():
                address = self._pipeline.address(roster.sign[0])
                line = f"127.0.0.1:10027 inet n - n - - smtpd -o {{ {MILTERS} = {address} }}"
                yield error(port.service, f"{text}, neither here nor behind the filter", line)
        elif here and filtered and behind:
            rest = [name for name in port.ours if name not in roster.sign]
            yield warning(
                port.service,
                f"{roster.sign[0]} signs here and again behind the filter",
                self._pipeline.mend(port, rest),
            )

    def _one_filter_for_all(self, port: Port) -> bool:
        """Whether mail of users and of the world come back from the filter on the same port."""
        return any(port.content_filter == each.content_filter for each in self._pipeline.filtered)

    def _outward(self) -> list[Port]:
        """The ports behind the filter that may be meant for the way out: they have nothing of the way in."""
        roster = self._pipeline.roster
        free = [port for port in self._pipeline.backs if not port.has([*roster.verify, *roster.dmarc])]
        inward_unknown = len(free) == len(self._pipeline.backs) and (
            self._pipeline.proxied or self._pipeline.filtered
        )
        return free[1:] if inward_unknown else free

    def way_out(self) -> Iterator[Finding]:
        """The ports between the filter and the world."""
        roster = self._pipeline.roster
        if not roster.sign or any(port.has(roster.sign) for port in self._pipeline.backs):
            return
        waiting = [
            port
            for port in self._pipeline.users
            if port.content_filter and not port.has(roster.sign) and not self._one_filter_for_all(port)
        ]
        outward = self._outward()
        if waiting and outward:
            port = outward[-1]
            what = (
                f"what users send on {listed([str(each.service) for each in waiting], 'and')} is not signed"
            )
            yield from self._pipeline.missing(port, roster.sign[:1], what)

    def local_programs(self) -> Iterator[Finding]:
        """Mail that sendmail(1) brings in: cleanup(8) asks non_smtpd_milters."""
        roster, instance = self._pipeline.roster, self._pipeline.instance
        cleanup = instance.service("cleanup", "unix")
        if cleanup is None:
            return
        entries = [
            Endpoint.parse(word, instance, cleanup) for word in instance.items("non_smtpd_milters", cleanup)
        ]
        names = [roster.find(entry) for entry in entries]
        kept = [entry.word for entry, name in zip(entries, names, strict=True) if name not in roster.dmarc]
        signs = any(name in roster.sign for name in names)
        signing = [self._pipeline.address(roster.sign[0])] if roster.sign and not signs else []
        mend = in_main("non_smtpd_milters", ", ".join([*kept, *signing]))
        refusing = [name for name in names if name in roster.enforce]
        if refusing:
            text = f"{refusing[0]} would refuse mail of local programs (cron): it has no SPF and no signature yet"
            yield warning("non_smtpd_milters", text, mend)
        elif signing and not instance.value("content_filter", instance.service("pickup", "unix")):
            yield hint("non_smtpd_milters", "mail of local programs is not signed", mend)
