"""Completion for zsh."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gatepost.cli.shells.head import head
from gatepost.cli.syntax import Argument, Command, Kind

_FILE = """\
#compdef gatepost
# {head}

_gatepost_daemons() {{
    local -a config names
    local place=${{words[(I)--config]}}
    if (( place && place < CURRENT )); then
        config=(--config "${{words[place + 1]}}")
    fi
    names=("${{(@f)$(gatepost completion daemons $config 2>/dev/null)}}")
    compadd -a names
}}

{functions}
if [ "$funcstack[1]" = "_gatepost" ]; then
    _gatepost "$@"
else
    compdef _gatepost gatepost
fi
"""

_CHOICE = """\
{function}() {{
    local -a choices
    choices=(
{choices}
    )
    if (( CURRENT == 2 )); then
        _describe -t commands 'gatepost command' choices
        return
    fi
    shift words
    (( CURRENT-- ))
    case $words[1] in
{cases}
    esac
}}
"""

_ARGUMENTS = """\
{function}() {{
    _arguments -S \\
{specs}
}}
"""


def completion(commands: Sequence[Command]) -> str:
    """The function for zsh, to stand in a directory of its fpath as ``_gatepost``."""
    return _FILE.format(head=head("zsh"), functions="\n".join(_functions("_gatepost", commands)))


def _functions(function: str, commands: Sequence[Command]) -> Iterator[str]:
    for command in commands:
        own = f"{function}_{command.name}"
        if command.actions:
            yield from _functions(own, command.actions)
        else:
            specs = [*map(_option, command.options)]
            specs += [_argument(place, each) for place, each in enumerate(command.arguments, 1)]
            yield _ARGUMENTS.format(
                function=own, specs=" \\\n".join(f"        {_quoted(spec)}" for spec in specs)
            )
    choices = (f"        {_quoted(command.name + ':' + command.purpose)}" for command in commands)
    cases = (f"        {command.name}) {function}_{command.name} ;;" for command in commands)
    yield _CHOICE.format(function=function, choices="\n".join(choices), cases="\n".join(cases))


def _option(option: Argument) -> str:
    *_, flag = option.flags
    value = "" if option.kind is Kind.NONE else f":{_text(option.name)}:{_action(option)}"
    return f"{flag}[{_text(option.help)}]{value}"


def _argument(place: int, argument: Argument) -> str:
    where = "*" if argument.repeated else str(place)
    return f"{where}:{_text(argument.name)}:{_action(argument)}"


def _text(text: str) -> str:
    for special in "\\[]:":
        text = text.replace(special, "\\" + special)
    return text


def _action(argument: Argument) -> str:
    if argument.kind is Kind.WORD:
        return f"({' '.join(argument.words)})"
    return {Kind.FILE: "_files", Kind.DIRECTORY: "_files -/", Kind.DAEMON: "_gatepost_daemons"}.get(
        argument.kind, " "
    )


def _quoted(text: str) -> str:
    """*text* in single quotes."""
    return "'" + text.replace("'", "'\\''") + "'"
