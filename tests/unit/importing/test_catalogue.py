"""All options of the peers' manuals are known, and those that are carried over have a rule."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from gatepost.importing.catalogue import Catalogue, Fate
from gatepost.importing.conversion import Conversion
from gatepost.importing.opendkim import OpenDkim
from gatepost.importing.opendmarc import OpenDmarc
from gatepost.importing.policyd_spf import PolicydSpf
from gatepost.importing.postgrey import Postgrey
from gatepost.importing.postgrey_options import OPTIONAL, SHORT, SWITCHES
from gatepost.importing.take_over import PEERS
from tests.unit.importing.support import taken


@pytest.mark.parametrize("conversion", [OpenDkim, OpenDmarc, PolicydSpf, Postgrey])
def test_what_is_carried_over_has_a_rule(conversion: type[Conversion]) -> None:
    carried = {known.name.lower() for known in conversion.CATALOGUE if known.fate is Fate.CARRIED}
    assert carried == set(conversion.RULES)


def test_no_option_is_known_twice() -> None:
    with pytest.raises(ValueError, match="twice"):
        Catalogue(carried={"A": "x"}, always={"a": "y"}, meaningless={}, unsupported={})


@pytest.mark.parametrize("peer", PEERS)
def test_every_option_has_its_text(peer: str) -> None:
    assert all(known.text for known in PEERS[peer])
    assert {known.fate for known in PEERS[peer]} == set(Fate)


def test_the_forms_of_options_are_of_options_that_exist() -> None:
    for name in (*SHORT.values(), *SWITCHES, *OPTIONAL):
        assert PEERS["postgrey"].find(name), name


_MANUALS = {
    "opendkim": ("opendkim.conf", r"^ {7}([A-Z][A-Za-z-]+) \([A-Za-z]"),
    "opendmarc": ("opendmarc.conf", r"^ {7}([A-Z][A-Za-z-]+) \([A-Z a-z]"),
    "postgrey": ("postgrey", r"^ .*?\s--([a-z0-9-]{3,})[=\[\s]"),
    "policyd-spf": ("policyd-spf.conf", r"^ {7}([A-Za-z_]+) = "),
}


@pytest.mark.parametrize("peer", PEERS)
def test_the_manual_has_no_other(peer: str) -> None:
    """Where the peer is installed, its own manual is asked."""
    page, pattern = _MANUALS[peer]
    if shutil.which("man") is None:
        pytest.skip("man is not installed")
    manual = subprocess.run(
        ["man", "-P", "cat", page],
        capture_output=True,
        text=True,
        env={"MANWIDTH": "150", "PATH": "/usr/bin:/bin"},
    )
    text = re.sub(".\b", "", manual.stdout)
    names = set(re.findall(pattern, text, re.MULTILINE)) - {"Copyright", "whitelist-x"}
    if not names:
        pytest.skip(f"{page} is not installed")
    assert len(names) > 15
    assert {name for name in names if PEERS[peer].find(name) is None} == set()


@pytest.mark.parametrize("peer", ["opendkim", "opendmarc", "policyd-spf"])
def test_every_option_is_accounted_for(peer: str) -> None:
    sign = " = " if peer == "policyd-spf" else " "
    for known in PEERS[peer]:
        draft = taken(peer, f"{known.name}{sign}1", {})
        assert any(remark.option.lower() == known.name.lower() for remark in draft.remarks), known.name


def test_every_option_of_a_command_line_is_accounted_for() -> None:
    for known in PEERS["postgrey"]:
        draft = taken("postgrey", f'POSTGREY_OPTS="--{known.name}=1"')
        assert any(remark.option == known.name for remark in draft.remarks), known.name
