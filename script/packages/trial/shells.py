"""Completion in the shells that the package is for, asked as Tab asks it."""

from __future__ import annotations

from script.packages.trial.checking import expect
from script.packages.trial.clean_root import CleanRoot

_BASH = """\
. /usr/share/bash-completion/bash_completion
__load_completion gatepost
complete -p gatepost >/dev/null
COMP_WORDS=(gatepost {words}) COMP_CWORD={place} COMPREPLY=()
$(complete -p gatepost | sed 's/.*-F \\([^ ]*\\).*/\\1/') gatepost {last} {before}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""

# zsh completes on a terminal alone; zpty is one.
_ZSH = """\
zmodload zsh/zpty
zpty -b shell zsh -f -i
answer() { zpty -r -m shell REPLY "*$1*" || exit 1 }
zpty -w shell 'PS1=ready; autoload -Uz compinit; compinit -u -D; print -r "has:$_comps[gatepost]:"'
answer 'has:_gatepost:'
zpty -w -n shell $'gatepost vers\\t'
answer 'gatepost version'
print "$REPLY" | tail -n 1
zpty -d shell
"""


def try_completions(root: CleanRoot) -> None:
    """Commands, options and names of daemons."""
    words = _bash(root, "ve")
    expect(words == ["verify", "version"], "bash completes commands", words)
    words = _bash(root, "run", "dkim-")
    expect(words == ["dkim-sign", "dkim-verify"], "bash completes daemons", words)
    script = root.path("/root/complete.zsh")
    script.write_text(_ZSH)
    told = root.run("timeout 30 zsh -f /root/complete.zsh")
    expect("gatepost version" in told, "zsh completes commands", told)
    told = root.run("fish -c 'complete -C \"gatepost ve\"'")
    words = sorted(line.split("\t")[0] for line in told.splitlines())
    expect(words == ["verify", "version"], "fish completes commands", words)
    told = root.run("fish -c 'complete -C \"gatepost run dkim-\"'")
    words = sorted(line.split("\t")[0] for line in told.splitlines())
    expect(words == ["dkim-sign", "dkim-verify"], "fish completes daemons", words)


def _bash(root: CleanRoot, *words: str) -> list[str]:
    before = words[-2] if len(words) > 1 else "gatepost"
    text = " ".join(words)
    return sorted(root.run(_BASH.format(words=text, place=len(words), last=words[-1], before=before)).split())
