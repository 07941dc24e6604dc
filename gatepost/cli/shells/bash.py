"""Completion for bash."""

from __future__ import annotations

from collections.abc import Sequence

from gatepost.cli.shells.head import head
from gatepost.cli.syntax import Argument, Command, Kind, walk

_FILE = """\
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

_ACTIONS = """\
        {name})
            if ((COMP_CWORD == 2)); then
                mapfile -t COMPREPLY < <(compgen -W "{actions}" -- "$cur")
                return
            fi
            command+=" ${{COMP_WORDS[2]}}" first=3
            ;;"""


def completion(commands: Sequence[Command]) -> str:
    """The script for bash 4.2 and later."""
    every = [(words, command) for words, command in walk(commands) if not command.actions]
    values = [
        f'        "{words} {flag}") echo "{_kind(option)}" ;;'
        for words, command in every
        for option in command.options
        for flag in option.flags
        if option.kind is not Kind.NONE
    ]
    arguments = [
        f'        "{words} "{"*" if argument.repeated else place}) echo "{_kind(argument)}" ;;'
        for words, command in every
        for place, argument in enumerate(command.arguments)
    ]
    options = [f'        "{words}") echo "{" ".join(_flags(command))}" ;;' for words, command in every]
    actions = [
        _ACTIONS.format(name=command.name, actions=_names(command.actions))
        for command in commands
        if command.actions
    ]
    return _FILE.format(
        head=head("bash"),
        values="\n".join(values),
        arguments="\n".join(arguments),
        options="\n".join(options),
        commands=_names(commands),
        actions="\n".join(actions),
    )


def _kind(argument: Argument) -> str:
    return f"words {' '.join(argument.words)}" if argument.kind is Kind.WORD else argument.kind.value


def _names(commands: Sequence[Command]) -> str:
    return " ".join(command.name for command in commands)


def _flags(command: Command) -> list[str]:
    return [flag for option in command.options for flag in option.flags]
