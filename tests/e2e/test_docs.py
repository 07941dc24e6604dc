"""Lines of Postfix's in the documentation are read by Postfix itself."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.docs.pages import Block, all_blocks
from tests.unit.docs.test_pages import POSTFIX_PARAMETERS

LONG_AGO = 1_000_000_000
MASTER = "smtp inet n - n - - smtpd\n"

pytestmark = pytest.mark.e2e


def postconf(directory: Path, *arguments: str) -> str:
    """What ``postconf`` says of an instance; its warnings are faults."""
    for file in directory.iterdir():
        os.utime(file, (LONG_AGO, LONG_AGO))  # else it sleeps, lest it read half a file
    done = subprocess.run(
        ["postconf", "-c", str(directory), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if "warning" in line] == []
    return done.stdout


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    """A Postfix of nothing but two files."""
    if shutil.which("postconf") is None:
        pytest.skip("postfix is not installed")
    (tmp_path / "main.cf").write_text("compatibility_level = 3.6\n")
    (tmp_path / "master.cf").write_text(MASTER)
    return tmp_path


@pytest.mark.parametrize("block", all_blocks("main.cf"), ids=str)
def test_parameters_are_read_as_they_are_meant(instance: Path, block: Block) -> None:
    # What a service of the text's own is called may have parameters: NAME_time_limit.
    services = "".join(
        f"{name} unix - n n - 0 spawn user=nobody argv=/bin/true\n"
        for name in re.findall(r"(?m)^([\w-]+)_time_limit", block.text)
    )
    (instance / "master.cf").write_text(MASTER + services)
    with (instance / "main.cf").open("a") as main:
        main.write(block.text)
    read = postconf(instance, "-n")
    logical = re.sub(r"\n\s+", " ", re.sub(r"(?m)^#.*\n", "", block.text)).strip()
    for line in logical.splitlines():
        name, _, value = (part.strip() for part in line.partition("="))
        assert f"{name} = {' '.join(value.split())}" in read
        # Postfix has no comments behind a value.
        assert "#" not in value


@pytest.mark.parametrize(
    "block", [block for block in all_blocks("sh") if "postconf -e" in block.text], ids=str
)
def test_postconf_takes_what_it_is_to_write(instance: Path, block: Block) -> None:
    for command in re.findall(r"(?ms)^postconf -e .*?(?=^\S|\Z)", block.text):
        words = shlex.split(command.replace("\\\n", ""))
        postconf(instance, *words[1:])
        for name, _, value in (word.partition(" = ") for word in words[2:]):
            assert f"{name} = {' '.join(value.split())}" in re.sub(r" +", " ", postconf(instance, "-n"))


@pytest.mark.parametrize("block", all_blocks("master.cf"), ids=str)
def test_services_are_read(instance: Path, block: Block) -> None:
    (instance / "master.cf").write_text(block.text)
    read = postconf(instance, "-M")
    entries = [line for line in block.text.splitlines() if line and not line[0].isspace() and line[0] != "#"]
    assert len(read.splitlines()) == len(entries)
    postconf(instance, "-P")


def test_the_parameters_that_are_named_exist(instance: Path) -> None:
    known = {line.partition(" ")[0] for line in postconf(instance, "-d").splitlines()}
    assert known >= POSTFIX_PARAMETERS
