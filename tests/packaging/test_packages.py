"""What the packages are made of fits together."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import gatepost
from gatepost.cli.shells import SHELLS
from gatepost.cli.syntax import commands
from gatepost.config.settings import Config
from script.packages import debian_package, tree
from script.packages.debian_package import COMPLETIONS, CONFFILES, DEBIAN, SCRIPTS
from script.packages.licences import take_licences
from script.packages.lock import BUILD, EXTRA, LOCK
from script.packages.private_python import HOME
from script.packages.trial import quick_start
from script.packages.trial.wheel import INSTALL
from tests.harness.units import NAMES, UNITS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
INSTALLING = (ROOT / "docs" / "installing.md").read_text()


def locked(file: Path) -> dict[str, tuple[str, list[str]]]:
    """Version and hashes by name."""
    found = {}
    for entry in re.split(r"\n(?=\S)", file.read_text().strip()):
        if not entry.startswith("#"):
            name, _, rest = entry.partition("==")
            found[name] = (rest.split()[0], re.findall(r"--hash=sha256:([0-9a-f]{64})\b", rest))
    return found


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        (LOCK, [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"][EXTRA]]),
        (BUILD, PROJECT["build-system"]["requires"]),
    ],
)
def test_the_lock_has_all_that_the_project_asks_for(file: Path, wanted: list[str]) -> None:
    lock = locked(file)
    for requirement in map(Requirement, wanted):
        version, _ = lock[requirement.name]
        assert Version(version) in requirement.specifier, requirement
    assert all(hashes for _, hashes in lock.values())
    assert not {"pymilter", "pytest"} & set(lock)


def test_the_version_stands_in_one_place() -> None:
    assert tree.version() == gatepost.__version__
    assert "version" in PROJECT["project"]["dynamic"]


def test_the_wheel_takes_directories_that_there_are() -> None:
    shared = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    assert {(ROOT / each).is_dir() for each in shared} == {True}
    assert shared["conf"] == "share/gatepost/conf"


def test_packages_are_dated_as_they_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    tree.epoch.cache_clear()
    try:
        assert tree.epoch() == 86400
        assert tree.environment()["SOURCE_DATE_EPOCH"] == "86400"
    finally:
        tree.epoch.cache_clear()


def test_a_program_that_fails_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(tree.PackagingError, match="status 3"):
        tree.run("sh", "-c", "echo why >&2; exit 3")
    assert "why" in capsys.readouterr().err


# -- Debian's package


def test_every_unit_has_its_place(tmp_path: Path) -> None:
    debian_package._place_units(tmp_path)
    placed = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    system = "usr/lib/systemd/system"
    assert placed == {
        "usr/lib/sysusers.d/gatepost.conf",
        "usr/lib/tmpfiles.d/gatepost.conf",
        f"{system}/gatepost.target",
        f"{system}/gatepost@.service",
        f"{system}/gatepost@dkim-sign.service.d/keys.conf",
        *(f"{system}/gatepost@{name}.socket" for name in NAMES),
    }
    for file in UNITS.glob("*.socket"):
        assert (tmp_path / system / file.name).read_bytes() == file.read_bytes()


def test_what_is_the_administrators_is_what_the_shipped_configuration_needs() -> None:
    assert all((ROOT / "conf" / name).is_file() for name in CONFFILES)
    named = re.findall(r"/etc/gatepost/([\w.-]+)", (ROOT / "conf" / "gatepost.yaml").read_text())
    assert set(named) - {"keys"} == set(CONFFILES)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_of_the_package_is_sound(name: str) -> None:
    script = DEBIAN / name
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0
    text = script.read_text()
    assert "\nset -e\n" in text
    assert ("/usr/lib/gatepost" in text) == (name != "postrm")


def test_the_scripts_name_what_the_program_knows() -> None:
    assert f"home=/{HOME}\n" in (DEBIAN / "postinst").read_text()
    assert str(Config.model_fields["seal_secret"].default) in (DEBIAN / "postinst").read_text()
    state = {
        line.split()[1] for line in (UNITS / "gatepost.tmpfiles").read_text().splitlines() if line[0] == "d"
    }
    [purged] = re.findall(r"(?m)^    rm -rf (/etc/gatepost .*)$", (DEBIAN / "postrm").read_text())
    assert all(any(path == each or path.startswith(f"{each}/") for each in purged.split()) for path in state)


def test_the_control_file_can_be_filled_in() -> None:
    filled = (
        (DEBIAN / "control")
        .read_text()
        .format(
            version="1-1",
            architecture="amd64",
            maintainer="M <m@example.org>",
            size=1,
            python="python3.11",
            libraries="libc6",
        )
    )
    fields = dict(re.findall(r"(?m)^([A-Z][\w-]*): (.*)$", filled))
    assert fields["Package"] == "gatepost"
    assert fields["Depends"].startswith("python3:any, python3.11, libc6, ")
    lines = filled.partition("Description: ")[2].splitlines()
    assert len(lines[0]) <= 80
    assert all(line.startswith(" ") and len(line) <= 80 for line in lines[1:])


def test_every_shell_has_a_completion() -> None:
    assert set(COMPLETIONS) == set(SHELLS)
    # Between quotes it substitutes $(…) alone, and an index is no place for (…) there.
    assert not re.search(r'"[^"\n]*\$\w+\[\(', SHELLS["fish"](commands()))


def library(site: Path, name: str, licences: dict[str, str], head: str = "License: MIT") -> None:
    info = site / f"{name}-1.0.dist-info"
    (info / "licenses").mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n{head}\nAuthor: Eva\nHome-page: https://{name}.example/\n"
    )
    for file, text in licences.items():
        (info / "licenses" / file).write_text(text)


def test_every_licence_is_told_once(tmp_path: Path) -> None:
    library(tmp_path, "gatepost", {"LICENSE": "That of this program."})
    library(tmp_path, "small", {"LICENSE": "Do what you like."})
    long = "Copyright (c) Eva\n\nApache License\nVersion 2.0\n" + "and so on\n" * 1000
    library(tmp_path, "large", {"LICENSE": long}, "License-Expression: Apache-2.0")
    library(tmp_path, "bare", {})
    text = take_licences(tmp_path, Path("usr/lib/x"))
    assert "That of this program." not in text
    assert (
        "small 1.0\n---------\n\nLicence: MIT\nFrom: https://small.example/\nAuthors: Eva\n\n    Do what you like.\n"
        in text
    )
    assert "    Copyright (c) Eva\n    /usr/share/common-licenses/Apache-2.0\n" in text
    assert "bare 1.0" in text
    assert "and so on" not in text
    assert not list(tmp_path.rglob("licenses"))


def test_modes_and_times_are_the_same_wherever_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian_package, "epoch", lambda: 86400)
    program, module = tmp_path / HOME / "bin" / "gatepost", tmp_path / HOME / "lib" / "a.py"
    for file in (program, module):
        file.parent.mkdir(parents=True)
        file.write_text("")
        file.chmod(0o600)
    (tmp_path / HOME / "bin" / "python3").symlink_to("nowhere")
    debian_package._settle(tmp_path)
    assert [file.stat().st_mode & 0o777 for file in (program, module, module.parent)] == [0o755, 0o644, 0o755]
    assert {path.lstat().st_mtime for path in tmp_path.rglob("*")} == {86400}


# -- what is documented is what is tried


def test_the_quick_start_is_the_documented_one() -> None:
    names = "{" + ",".join(quick_start.NAMES) + "}"
    for command in (
        "gatepost keygen example.nl",
        "gatepost check\n",
        f"systemctl enable --now gatepost@{names}.socket gatepost.target",
        "systemctl reload postfix",
        "gatepost check --postfix",
    ):
        assert command in INSTALLING
        assert command.strip() in {each for _, each in quick_start.COMMANDS}
    block = INSTALLING.partition("```sh\neditor")[2].partition("```")[0]
    # Printing Postfix's lines and putting them into main.cf are two lines for a reader; installing stands above.
    assert len(block.strip().splitlines()) == len(quick_start.COMMANDS)


def test_the_virtual_environment_is_made_as_documented() -> None:
    tried = [
        line for line in INSTALL.splitlines() if not line.startswith(("/opt", "gatepost", "systemctl enable"))
    ]
    assert len(tried) > 5
    assert [line for line in tried if line not in INSTALLING.splitlines()] == []


def test_the_package_script_has_no_mistake_in_it() -> None:
    for name in ("package", "test-package", "test-howto"):
        bash = shutil.which("bash")
        assert bash is not None
        assert subprocess.run([bash, "-n", str(ROOT / "script" / name)], check=False).returncode == 0
        assert (ROOT / "script" / name).stat().st_mode & 0o111


def test_md5sums_are_dpkgs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What "dpkg --verify" compares: all files but those of /etc, which are the administrator's."""
    for name in ("usr/share/x", "etc/gatepost/gatepost.yaml"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(debian_package, "_system_libraries", lambda root: "libc6")
    monkeypatch.setattr(debian_package, "python", lambda: "python3.11")
    monkeypatch.setattr(debian_package, "run", lambda *command: "amd64\n")
    debian_package._describe(tmp_path, "1.0-1")
    told = (tmp_path / "DEBIAN" / "md5sums").read_text()
    digest = hashlib.md5(b"usr/share/x", usedforsecurity=False).hexdigest()
    assert told == f"{digest}  usr/share/x\n"
    assert "Installed-Size: 6\n" in (tmp_path / "DEBIAN" / "control").read_text()
