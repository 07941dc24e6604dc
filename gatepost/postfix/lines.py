"""The lines of main.cf and master.cf that fit a configuration, each with a word why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from gatepost.config.dkim_settings import DkimVerify
from gatepost.config.settings import Config
from gatepost.postfix.roster import Roster


class Layout(StrEnum):
    """How a content filter stands around Postfix."""

    AFTER_QUEUE = "a"
    BEFORE_QUEUE = "b"
    NO_FILTER = "c"


class Parameter(NamedTuple):
    """One line ``name = value``, and why it is there."""

    name: str
    value: str
    why: str


class Entry(NamedTuple):
    """A service of master.cf: its line, the parameters it has of its own, and what it is for."""

    line: str
    options: tuple[Parameter, ...]
    why: str


class Lines(NamedTuple):
    """What belongs into each file; ``because`` says why this layout, ``notes`` what else has to be done."""

    layout: Layout
    because: str
    main: tuple[Parameter, ...]
    master: tuple[Entry, ...]
    notes: tuple[str, ...]


_INWARD_FILTER = "127.0.0.1:10024"
_OUTWARD_FILTER = "smtp-amavis:[127.0.0.1]:10028"

_WHAT = {
    "verify": "checks DKIM and removes forged results",
    "sign": "signs",
    "enforce": "applies DMARC policies",
    "stamp": "writes the last result and takes the seals out",
}


def guess(config: Config) -> tuple[Layout, str]:
    """The layout that a configuration looks made for, and what says so."""
    roster = Roster(config)
    if roster.stamp:
        return Layout.AFTER_QUEUE, f"{roster.stamp[0]} stamps behind a content filter"
    for name in roster.verify:
        settings = roster[name]
        if isinstance(settings, DkimVerify) and settings.verify_local:
            return Layout.BEFORE_QUEUE, f"{name} has verify_local: yes"
    return Layout.NO_FILTER, "nothing in the configuration speaks of a content filter"


def lines(config: Config, layout: Layout, because: str, queue_directory: str = "/var/spool/postfix") -> Lines:
    """The lines for *layout*; *queue_directory* is Postfix's, below which its unix sockets are."""
    writer = _Writer(Roster(config), layout, queue_directory)
    return Lines(layout, because, tuple(writer.main()), tuple(writer.master()), tuple(writer.notes()))


class _Writer:
    def __init__(self, roster: Roster, layout: Layout, queue_directory: str) -> None:
        self._roster = roster
        self._layout = layout
        self._queue_directory = queue_directory

    def _addresses(self, names: Sequence[str]) -> str:
        return ", ".join(self._roster.address(name, self._queue_directory) for name in names)

    def _milters(self, names: Sequence[str], where: str) -> Parameter:
        why = "; ".join(f"{name} {_WHAT[self._part(name)]}" for name in names)
        return Parameter("smtpd_milters", self._addresses(names), f"{where}: {why}" if why else where)

    def _part(self, name: str) -> str:
        return next(part for part in _WHAT if name in getattr(self._roster, part))

    def _border(self) -> list[str]:
        """The milters for mail from the world."""
        roster = self._roster
        if self._layout is Layout.BEFORE_QUEUE:
            return []
        if self._layout is Layout.AFTER_QUEUE:
            return [*roster.verify[:1], *roster.enforce[:1]]
        # A stamp has its place behind a filter, unless nobody else is there to take the seals out.
        last = roster.stamp[-1:] if roster.stamp else []
        return [*roster.verify[:1], *roster.sign[:1], *roster.enforce[:1], *last]

    def _inward(self) -> list[str]:
        """The milters behind the filter, towards the mailbox."""
        roster = self._roster
        if self._layout is Layout.BEFORE_QUEUE:
            return [*roster.verify[:1], *roster.enforce[:1], *roster.stamp[-1:]]
        if roster.enforce and not roster.stamp:
            # The seals went at the border: here, nobody could know the results for ours.
            return []
        return [*roster.verify[:1], *roster.stamp[-1:]]

    def main(self) -> Iterator[Parameter]:
        """What belongs into main.cf."""
        roster = self._roster
        border = self._border()
        if self._layout is Layout.BEFORE_QUEUE:
            why = "beside smtpd_proxy_filter milters see no message; they stand behind the filter"
            yield Parameter("smtpd_milters", "", why)
        else:
            yield self._milters(border, "mail from the world, in this order")
        yield Parameter(
            "non_smtpd_milters",
            self._addresses(roster.sign[:1]),
            "mail of local programs is signed; DMARC would refuse it"
            if roster.sign
            else "none for local programs",
        )
        yield Parameter("milter_default_action", "tempfail", "while a daemon is down, mail waits")
        if roster.policies:
            asked = [
                f"check_policy_service {self._addresses([name])}"
                for name in [*roster.spf[:1], *roster.greylist[:1]]
            ]
            restrictions = [
                "permit_mynetworks",
                "permit_sasl_authenticated",
                "reject_unauth_destination",
                *asked,
            ]
            why = "asked about mail that is for us; SPF first, for it may refuse for good"
            yield Parameter("smtpd_recipient_restrictions", ", ".join(restrictions), why)
        networks = " ".join(
            str(each) if each.version == 4 else f"[{each.network_address}]/{each.prefixlen}"
            for each in roster.config.trusted_networks
        )
        yield Parameter("mynetworks", networks, "the same hosts as in trusted_networks")
        yield Parameter("smtpd_forbid_bare_newline", "normalize", "no mail can smuggle in another")

    def master(self) -> Iterator[Entry]:
        """What belongs into master.cf."""
        users = [
            Parameter("smtpd_sasl_auth_enable", "yes", ""),
            Parameter("smtpd_tls_security_level", "encrypt", ""),
        ]
        users.append(
            Parameter("smtpd_client_restrictions", "permit_sasl_authenticated, reject", "users who log in")
        )
        if self._layout is Layout.NO_FILTER:
            yield Entry("smtp inet n - n - - smtpd", (), "port 25, with the milters of main.cf")
            yield Entry(
                "submission inet n - n - - smtpd", tuple(users), "the same milters: each knows its mail"
            )
            return
        if self._layout is Layout.AFTER_QUEUE:
            handed = Parameter(
                "content_filter", f"smtp-amavis:[{_INWARD_FILTER.replace(':', ']:')}", "to the filter"
            )
        else:
            handed = Parameter("smtpd_proxy_filter", _INWARD_FILTER, "to the filter, while the client waits")
        yield Entry(
            "smtp inet n - n - - smtpd", (handed,), "port 25; with postscreen this is the line `smtpd pass`"
        )
        users.append(Parameter("smtpd_milters", "", "what is signed here, the filter could break"))
        users.append(Parameter("content_filter", _OUTWARD_FILTER, "to the filter's other port"))
        yield Entry("submission inet n - n - - smtpd", tuple(users), "port 587; 465 alike")
        back = [
            Parameter("content_filter", "", "once is enough"),
            Parameter("smtpd_client_restrictions", "permit_mynetworks, reject", "for the filter alone"),
            Parameter("smtpd_recipient_restrictions", "permit_mynetworks, reject", ""),
            Parameter(
                "receive_override_options",
                "no_header_body_checks, no_unknown_recipient_checks",
                "done before",
            ),
        ]
        inward = self._milters(self._inward(), "towards the mailbox")
        yield Entry(
            "127.0.0.1:10025 inet n - n - - smtpd", (*back, inward), "back from the filter, to the mailbox"
        )
        outward = self._milters(self._roster.sign[:1], "towards the world")
        yield Entry(
            "127.0.0.1:10027 inet n - n - - smtpd", (*back, outward), "back from the filter, to the world"
        )
        forward = Parameter("smtp_send_xforward_command", "yes", "so that the filter's log names the client")
        yield Entry("smtp-amavis unix - - n - 2 smtp", (forward,), "to the filter")

    def notes(self) -> Iterator[str]:
        """What the lines alone do not do."""
        roster = self._roster
        if self._layout is Layout.AFTER_QUEUE and roster.enforce and not roster.stamp:
            yield (
                "add a daemon of kind dmarc, mode stamp, for port 10025: without it nobody there knows our results"
                " from forged ones, and no milter can stand on that port"
            )
        if self._layout is Layout.BEFORE_QUEUE:
            for name in roster.verify:
                settings = roster[name]
                if isinstance(settings, DkimVerify) and not settings.verify_local:
                    yield f"set daemons.{name}.verify_local: yes, as every client there is 127.0.0.1"
        if self._layout is Layout.NO_FILTER and not roster.dmarc:
            for name in roster.verify:
                settings = roster[name]
                if isinstance(settings, DkimVerify) and settings.seal:
                    yield f"set daemons.{name}.seal: no, as nobody reads the seals"
        root = self._queue_directory.rstrip("/") + "/"
        for name, daemon in roster.config.daemons.items():
            address = daemon.socket[0]
            if address.family == "unix" and not address.path.startswith(root):
                yield f"{name} listens outside {root}: a service with y in the column chroot cannot reach it"


def as_text(found: Lines) -> str:
    """The lines as they can be pasted, the reasons as comments above them."""
    blocks = [f"# Layout {found.layout.upper()}: {found.because}.", "", "# --- main.cf"]
    for parameter in found.main:
        blocks += [f"# {parameter.why}", _assignment(parameter)]
    blocks += ["", "# --- master.cf"]
    for entry in found.master:
        blocks += [f"# {entry.why}", entry.line]
        blocks += [f"    -o {{ {_assignment(option)} }}" for option in entry.options]
    if found.notes:
        blocks += ["", *(f"# Note: {note}" for note in found.notes)]
    return "\n".join(blocks)


def _assignment(parameter: Parameter) -> str:
    return f"{parameter.name} = {parameter.value}".rstrip()
