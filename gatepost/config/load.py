"""The configuration file becomes a :class:`~gatepost.config.settings.Config`.

``load`` is what daemons call; ``read`` gives the warnings too, and knows where
each option stands. ``parse`` does the work, and touches nothing but its
arguments.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path as FilePath

from pydantic import BaseModel, ValidationError

from gatepost.config import compose
from gatepost.config.checks import Finding, check_common, check_daemons, warn_common
from gatepost.config.document import Document, Path
from gatepost.config.errors import ConfigError, Problem
from gatepost.config.explain import explain
from gatepost.config.flaws import DocumentError, place_at
from gatepost.config.host import Host
from gatepost.config.sections import Daemon
from gatepost.config.settings import KINDS, Config
from gatepost.config.words import did_you_mean, listed, quoted

_LONGEST_FILE = 16 * 1024 * 1024

_DAEMON_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used, what there is to say about it, and where its options stand."""

    config: Config
    warnings: tuple[Problem, ...]
    file: str
    source: Document

    def locate(self, problem: Problem) -> Problem:
        """Give *problem* file, line and column of its key, unless it has a file already."""
        if problem.file or not problem.key:
            return problem
        return Problem(self.file, *self.source.place(problem.key), problem.key, problem.text)


def load(path: FilePath) -> Config:
    """Read the configuration file at *path*. Raises ConfigError, with all problems at once."""
    return read(path).config


def read(path: FilePath) -> Loaded:
    """Read the configuration file at *path*. Raises ConfigError, with all problems at once."""
    return parse(_text(path), str(path), Host())


def parse(text: str, file: str, host: Host) -> Loaded:
    """Read *text*, which is called *file* in problems, for *host*. Raises ConfigError."""
    try:
        source = compose.parse(text)
    except DocumentError as error:
        flaws = [Problem(file, *place, "", fault) for place, fault in error.flaws]
        raise ConfigError(flaws) from None
    reading = _Reading(file, source, host)
    config = reading.config()
    if config is None or reading.problems:
        raise ConfigError(
            sorted(dict.fromkeys(reading.problems), key=lambda problem: (problem.line, problem.column))
        )
    warnings = warn_common(config, authserv_id_given="authserv_id" in source.root.entries)
    return Loaded(
        config, tuple(_problem(file, source, found.path, found.text) for found in warnings), file, source
    )


class _Reading:
    """One document being turned into settings; ``problems`` gathers what is wrong with them."""

    def __init__(self, file: str, source: Document, host: Host) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._source = source
        self._host = host

    def config(self) -> Config | None:
        """Give the settings; where there are problems, whatever could be made of it, or None."""
        values = self._source.values()
        if values.get("authserv_id") is None:
            values["authserv_id"] = self._host.name()
        daemons = self._daemons(values.pop("daemons", None))
        try:
            config: Config | None = Config.model_validate(values | {"daemons": daemons})
        except ValidationError as error:
            config = self._without_faults(values, daemons, error)
        if config:
            self._findings(check_common(config, self._host))
        self._findings(check_daemons(daemons, self._host))
        return config

    def _without_faults(
        self, values: dict[str, object], daemons: dict[str, Daemon], error: ValidationError
    ) -> Config | None:
        """Note the faults, and give the settings without them, so that the other checks can go on."""
        self._faults(Config, error, ())
        faulty = {fault["loc"][0] for fault in error.errors(include_url=False, include_context=False)}
        sound = {key: value for key, value in values.items() if key not in faulty}
        try:
            return Config.model_validate({"authserv_id": "localhost"} | sound | {"daemons": daemons})
        except ValidationError:
            return None

    def _daemons(self, section: object) -> dict[str, Daemon]:
        """Make the daemons that can be made, each apart from the others."""
        if section is None or section in ({}, []):
            self._add(("daemons",), 'no daemon is configured; expected at least one, such as "dkim-verify:"')
            return {}
        if not isinstance(section, dict):
            self._add(("daemons",), 'expected the daemons\' names, each as "NAME:" and its options below it')
            return {}
        daemons: dict[str, Daemon] = {}
        for name, options in section.items():
            daemon = self._daemon(name, options)
            if daemon:
                daemons[name] = daemon
        return daemons

    def _daemon(self, name: str, options: object) -> Daemon | None:
        at: Path = ("daemons", name)
        if not _DAEMON_NAME.fullmatch(name):
            self._add(at, 'the name of a daemon has letters, digits, "-", "_" and ".", at most 64')
            return None
        if options is None:
            options = {}
        if not isinstance(options, dict):
            self._add(at, 'expected the daemon\'s options as lines of "key: value" below it')
            return None
        kind = options.get("kind")
        if kind is None:
            kind = name
        model = KINDS.get(kind) if isinstance(kind, str) else None
        if model is None:
            self._unknown_kind(at, kind, named="kind" in options)
            return None
        try:
            daemon: Daemon = model.model_validate(options | {"kind": kind})
            return daemon
        except ValidationError as error:
            self._faults(model, error, at)
            return None

    def _unknown_kind(self, at: Path, kind: object, named: bool) -> None:
        if not isinstance(kind, str):
            self._add((*at, "kind"), f"expected {listed(KINDS, 'or')}")
            return
        hint = did_you_mean(kind, KINDS) or f" (there are {listed(KINDS, 'and')})"
        if named:
            self._add((*at, "kind"), f"there is no kind {quoted(kind)}{hint}")
        else:
            self._add(at, f"no kind of daemon{hint}; a name of its own needs kind: below it")

    def _faults(self, model: type[BaseModel], error: ValidationError, at: Path) -> None:
        for fault in error.errors(include_url=False):
            path = at + fault["loc"]
            if path[-1:] == ("[key]",):
                path = path[:-1]  # pydantic's way to say that it is the key of this entry
            if path != ("daemons",):
                self._add(path, explain(model, fault))

    def _findings(self, findings: Iterable[Finding]) -> None:
        for path, text, taken_by in findings:
            if taken_by:
                place, key = self._source.locate(taken_by)
                text += f" by {key} (line {place.line})"
            self._add(path, text)

    def _add(self, path: Path, text: str) -> None:
        self.problems.append(_problem(self._file, self._source, path, text))


def _problem(file: str, source: Document, path: Path, text: str) -> Problem:
    place, key = source.locate(path)
    return Problem(file, *place, key, text)


def _text(path: FilePath) -> str:
    """Give the file's text. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST_FILE + 1)
    except (OSError, ValueError) as error:
        raise ConfigError([Problem(str(path), 0, 0, "", _unreadable(error))]) from None
    if len(data) > _LONGEST_FILE:
        text = f"larger than {_LONGEST_FILE // 1024**2} MB; that cannot be a configuration"
        raise ConfigError([Problem(str(path), 0, 0, "", text)])
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        sound = data[: error.start].decode()
        place = place_at(sound, len(sound))
        text = "not UTF-8 from here on; save the file in that encoding"
        raise ConfigError([Problem(str(path), *place, "", text)]) from None


def _unreadable(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "there is no such file"
    if isinstance(error, IsADirectoryError):
        return "a directory; expected a file"
    if isinstance(error, PermissionError):
        return "not readable for this user"
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}"
    return "there is no such file"
