"""Completion for fish."""

from __future__ import annotations

from collections.abc import Sequence

from gatepost.cli.shells.head import head
from gatepost.cli.syntax import Argument, Command, Kind, walk

_FILE = """\
# {head}

function __gatepost_in
    set -l words (commandline -opc)
    for place in (seq (count $argv))
        set -l next (math $place + 1)
        test "$words[$next]" = "$argv[$place]"; or return 1
    end
end

function __gatepost_first
    test (count (commandline -opc)) -eq $argv[1]
end

function __gatepost_daemons
    set -l words (commandline -opc)
    set -l config
    if set -l place (contains -i -- --config $words)
        set config --config $words[(math $place + 1)]
    end
    $words[1] completion daemons $config 2>/dev/null
end

complete -c gatepost -f
{lines}
"""


def completion(commands: Sequence[Command]) -> str:
    """The file for fish 3 and later."""
    lines = [
        f"complete -c gatepost -n '__gatepost_first 1' -a {command.name} -d {_quoted(command.purpose)}"
        for command in commands
    ]
    for words, command in walk(commands):
        inside = f"complete -c gatepost -n '__gatepost_in {words}'"
        lines += [
            f"complete -c gatepost -n '__gatepost_in {words}; and __gatepost_first 2'"
            f" -a {action.name} -d {_quoted(action.purpose)}"
            for action in command.actions
        ]
        if not command.actions:
            lines += [f"{inside} {_option(option)}" for option in command.options]
            lines += [f"{inside} {value}" for argument in command.arguments if (value := _values(argument))]
    return _FILE.format(head=head("fish"), lines="\n".join(lines))


def _option(option: Argument) -> str:
    flags = [f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags]
    if option.kind is not Kind.NONE:
        flags += ["-r", _values(option)]
    return " ".join(each for each in (*flags, "-d", _quoted(option.help)) if each)


def _values(argument: Argument) -> str:
    if argument.kind is Kind.WORD:
        return f"-a {_quoted(' '.join(argument.words))}"
    return {
        Kind.FILE: "-F",
        Kind.DIRECTORY: "-a '(__fish_complete_directories)'",
        Kind.DAEMON: "-a '(__gatepost_daemons)'",
    }.get(argument.kind, "")


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
