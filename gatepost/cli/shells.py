"""Completion for bash, zsh and fish, written from the commands as data.

Names of daemons are asked of ``gatepost completion daemons``, with the
``--config`` that stands on the line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from gatepost.cli.syntax import Argument, Command, Kind, walk

_HEAD = "completion of the gatepost command; made by `gatepost completion {shell}`"

# -- bash

_BASH = """\
# {head}

_gatepost_daemons() {{
    local i config=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        if [[ ${{COMP_WORDS[i]}} == --config ]]; then
            config=(--config "${{COMP_WORDS[i + 1]}}")
        fi
    done
    "${{COMP_WORDS[0]}}" completion daemons "${{config[@]}}" 2>/dev/null
}}

# What follows an option: $1 is the command, $2 the option.
_gatepost_value() {{
    case "$1 $2" in
{values}
    esac
}}

# What an argument is: $1 is the command, $2 its place from 0.
_gatepost_argument() {{
    case "$1 $2" in
{arguments}
    esac
}}

_gatepost_options() {{
    case "$1" in
{options}
    esac
}}

_gatepost() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}}
    local command=${{COMP_WORDS[1]}} first=2 place=0 what i
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "{commands}" -- "$cur")
        return
    fi
    case $command in
{actions}
    esac
    # --option=value comes as three words.
    if [[ $cur == = ]]; then
        cur=
    elif [[ $before == = ]]; then
        before=${{COMP_WORDS[COMP_CWORD - 2]}}
    fi
    what=$(_gatepost_value "$command" "$before")
    if [[ -z $what && $cur == -* ]]; then
        what="words $(_gatepost_options "$command")"
    elif [[ -z $what ]]; then
        for ((i = first; i < COMP_CWORD; i++)); do
            if [[ -n $(_gatepost_value "$command" "${{COMP_WORDS[i]}}") ]]; then
                [[ ${{COMP_WORDS[i + 1]}} == = ]] && ((i++))
                ((i++))
            elif [[ ${{COMP_WORDS[i]}} != -?* ]]; then
                ((place++))
            fi
        done
        what=$(_gatepost_argument "$command" "$place")
    fi
    case $what in
        file) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
        directory) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
        daemon) mapfile -t COMPREPLY < <(compgen -W "$(_gatepost_daemons)" -- "$cur") ;;
        words\\ *) mapfile -t COMPREPLY < <(compgen -W "${{what#words }}" -- "$cur") ;;
    esac
}}

complete -F _gatepost gatepost
"""

_BASH_ACTIONS = """\
        {name})
            if ((COMP_CWORD == 2)); then
                mapfile -t COMPREPLY < <(compgen -W "{actions}" -- "$cur")
                return
            fi
            command+=" ${{COMP_WORDS[2]}}" first=3
            ;;"""


def bash(commands: Sequence[Command]) -> str:
    """The script for bash 4.2 and later."""
    every = [(words, command) for words, command in walk(commands) if not command.actions]
    values = [
        f'        "{words} {flag}") echo "{_bash_kind(option)}" ;;'
        for words, command in every
        for option in command.options
        for flag in option.flags
        if option.kind is not Kind.NONE
    ]
    arguments = [
        f'        "{words} "{"*" if argument.repeated else place}) echo "{_bash_kind(argument)}" ;;'
        for words, command in every
        for place, argument in enumerate(command.arguments)
    ]
    options = [f'        "{words}") echo "{" ".join(_flags(command))}" ;;' for words, command in every]
    actions = [
        _BASH_ACTIONS.format(name=command.name, actions=_names(command.actions))
        for command in commands
        if command.actions
    ]
    return _BASH.format(
        head=_HEAD.format(shell="bash"),
        values="\n".join(values),
        arguments="\n".join(arguments),
        options="\n".join(options),
        commands=_names(commands),
        actions="\n".join(actions),
    )


def _bash_kind(argument: Argument) -> str:
    return f"words {' '.join(argument.words)}" if argument.kind is Kind.WORD else argument.kind.value


# -- zsh

_ZSH = """\
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

_ZSH_CHOICE = """\
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

_ZSH_ARGUMENTS = """\
{function}() {{
    _arguments -S \\
{specs}
}}
"""


def zsh(commands: Sequence[Command]) -> str:
    """The function for zsh, to stand in a directory of its fpath as ``_gatepost``."""
    return _ZSH.format(
        head=_HEAD.format(shell="zsh"), functions="\n".join(_zsh_functions("_gatepost", commands))
    )


def _zsh_functions(function: str, commands: Sequence[Command]) -> Iterator[str]:
    for command in commands:
        own = f"{function}_{command.name}"
        if command.actions:
            yield from _zsh_functions(own, command.actions)
        else:
            specs = [*map(_zsh_option, command.options)]
            specs += [_zsh_argument(place, each) for place, each in enumerate(command.arguments, 1)]
            yield _ZSH_ARGUMENTS.format(
                function=own, specs=" \\\n".join(f"        {_quoted(spec)}" for spec in specs)
            )
    choices = (f"        {_quoted(command.name + ':' + command.purpose)}" for command in commands)
    cases = (f"        {command.name}) {function}_{command.name} ;;" for command in commands)
    yield _ZSH_CHOICE.format(function=function, choices="\n".join(choices), cases="\n".join(cases))


def _zsh_option(option: Argument) -> str:
    *_, flag = option.flags
    value = "" if option.kind is Kind.NONE else f":{_zsh_text(option.name)}:{_zsh_action(option)}"
    return f"{flag}[{_zsh_text(option.help)}]{value}"


def _zsh_argument(place: int, argument: Argument) -> str:
    where = "*" if argument.repeated else str(place)
    return f"{where}:{_zsh_text(argument.name)}:{_zsh_action(argument)}"


def _zsh_text(text: str) -> str:
    for special in "\\[]:":
        text = text.replace(special, "\\" + special)
    return text


def _zsh_action(argument: Argument) -> str:
    if argument.kind is Kind.WORD:
        return f"({' '.join(argument.words)})"
    return {Kind.FILE: "_files", Kind.DIRECTORY: "_files -/", Kind.DAEMON: "_gatepost_daemons"}.get(
        argument.kind, " "
    )


# -- fish

_FISH = """\
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


def fish(commands: Sequence[Command]) -> str:
    """The file for fish 3 and later."""
    lines = [
        f"complete -c gatepost -n '__gatepost_first 1' -a {command.name} -d {_fish(command.purpose)}"
        for command in commands
    ]
    for words, command in walk(commands):
        inside = f"complete -c gatepost -n '__gatepost_in {words}'"
        lines += [
            f"complete -c gatepost -n '__gatepost_in {words}; and __gatepost_first 2'"
            f" -a {action.name} -d {_fish(action.purpose)}"
            for action in command.actions
        ]
        if not command.actions:
            lines += [f"{inside} {_fish_option(option)}" for option in command.options]
            lines += [
                f"{inside} {value}" for argument in command.arguments if (value := _fish_values(argument))
            ]
    return _FISH.format(head=_HEAD.format(shell="fish"), lines="\n".join(lines))


def _fish_option(option: Argument) -> str:
    flags = [f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags]
    if option.kind is not Kind.NONE:
        flags += ["-r", _fish_values(option)]
    return " ".join(each for each in (*flags, "-d", _fish(option.help)) if each)


def _fish_values(argument: Argument) -> str:
    if argument.kind is Kind.WORD:
        return f"-a {_fish(' '.join(argument.words))}"
    return {
        Kind.FILE: "-F",
        Kind.DIRECTORY: "-a '(__fish_complete_directories)'",
        Kind.DAEMON: "-a '(__gatepost_daemons)'",
    }.get(argument.kind, "")


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


# -- all


def _names(commands: Sequence[Command]) -> str:
    return " ".join(command.name for command in commands)


def _flags(command: Command) -> list[str]:
    return [flag for option in command.options for flag in option.flags]


def _quoted(text: str) -> str:
    """*text* in single quotes, for bash and zsh."""
    return "'" + text.replace("'", "'\\''") + "'"


SHELLS: dict[str, Callable[[Sequence[Command]], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
"""The shells that are known, and what makes their completion."""
