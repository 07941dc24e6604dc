"""One Postfix as postconf(1) tells it: the parameters of main.cf, and the services of master.cf with theirs."""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from gatepost.postfix.expand import expand
from gatepost.postfix.text import assignment, logical_lines, unbraced, words

_FIELDS = 7
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True, slots=True)
class Service:
    """A line of master.cf (master(5)): service name and type, chroot ("y", "n" or "-"), the command.

    ``options`` are the parameters it overrides (``-o``); ``arguments`` what follows them.
    """

    name: str
    type: str
    chroot: str
    command: str
    options: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The service as ``postconf -P`` names it: ``smtpd/pass``."""
        return f"{self.name}/{self.type}"

    @property
    def port(self) -> str:
        """The port of an inet service, or its name: ``10025`` of ``127.0.0.1:10025``."""
        return self.name.rpartition(":")[2]

    @classmethod
    def parse(cls, line: str) -> Self | None:
        """Read a logical line of master.cf; None for one that has too few fields."""
        fields = line.split(None, _FIELDS)
        if len(fields) <= _FIELDS:
            return None
        command, *rest = words(fields[_FIELDS], " \t")
        options, arguments = _options(rest)
        return cls(fields[0], fields[1], fields[4], os.path.basename(command), options, arguments)


def _options(rest: list[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The ``-o`` of a command, in its three spellings, and what comes behind all options."""
    options = {}
    position = 0
    while position < len(rest) and rest[position].startswith("-"):
        word = rest[position]
        if word == "-o" and position + 1 < len(rest):
            position += 1
            word = f"-o{rest[position]}"
        if word.startswith("-o"):
            name, value = assignment(unbraced(word[2:]))
            if name:
                options[name] = value
        position += 1
    return options, tuple(rest[position:])


@dataclass(frozen=True, slots=True)
class Instance:
    """The whole: what main.cf sets, what holds where it sets nothing, and the services in their order."""

    parameters: Mapping[str, str]
    defaults: Mapping[str, str]
    services: tuple[Service, ...]

    @classmethod
    def parse(cls, main: str, master: str, defaults: str) -> Self:
        """Read the output of ``postconf -n``, ``postconf -M`` and ``postconf -d`` (or the files, which look alike).

        Lines that make no sense are left out: it is Postfix that complains of them.
        """
        services = (Service.parse(line) for line in logical_lines(master))
        return cls(
            _assignments(main), _assignments(defaults), tuple(each for each in services if each is not None)
        )

    def written(self, name: str, service: Service | None = None) -> str:
        """A parameter as it is written for *service*, or in main.cf; its default, or "", where nobody sets it."""
        if service is not None and name in service.options:
            return service.options[name]
        return self.parameters.get(name, self.defaults.get(name, ""))

    def value(self, name: str, service: Service | None = None) -> str:
        """A parameter as it is for *service*, with all it refers to filled in."""
        value = expand(self.written(name, service), lambda other: self.written(other, service))
        return " ".join(value.split())

    def items(self, name: str, service: Service | None = None) -> list[str]:
        """A parameter that is a list, word by word."""
        return words(self.value(name, service))

    def yes(self, name: str, service: Service | None = None) -> bool:
        """Whether a parameter that is yes or no is yes."""
        return self.value(name, service).lower() == "yes"

    def seconds(self, text: str) -> float | None:
        """A time limit as Postfix writes it (``100s``, ``5m``); None for what is none."""
        number, unit = (text[:-1], text[-1:]) if text[-1:] in _UNITS else (text, "s")
        return float(number) * _UNITS[unit] if number.isdigit() else None

    def chrooted(self, service: Service) -> bool:
        """Whether *service* sees nothing but the queue directory."""
        if service.chroot == "-":
            level = self.value("compatibility_level")
            return not level or level.partition(".")[0] == "0"
        return service.chroot == "y"

    @property
    def queue_directory(self) -> str:
        """Where relative paths begin, and a chroot's root."""
        return self.value("queue_directory") or "/var/spool/postfix"

    def service(self, name: str, kind: str) -> Service | None:
        """The service of this name and type."""
        return next((each for each in self.services if (each.name, each.type) == (name, kind)), None)


def _assignments(text: str) -> dict[str, str]:
    return dict(assignment(line) for line in logical_lines(text) if "=" in line)
