"""Debian's package: what lies where, and what dpkg is told of it."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import stat
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from script.packages.licences import take_licences
from script.packages.private_python import HOME, make_private_python, python, site_packages
from script.packages.tree import DIST, HERE, ROOT, WORK, epoch, run, version

DEBIAN = HERE / "debian"
CONFFILES = ("gatepost.yaml", "greylist-allow")
"""Of ``conf/``: what goes to /etc/gatepost and stays the administrator's."""
SCRIPTS = ("postinst", "prerm", "postrm")
COMPLETIONS = {
    "bash": "usr/share/bash-completion/completions/gatepost",
    "zsh": "usr/share/zsh/vendor-completions/_gatepost",
    "fish": "usr/share/fish/vendor_completions.d/gatepost.fish",
}


def make_deb(revision: str = "1", into: Path = DIST) -> Path:
    """Make ``gatepost_VERSION-REVISION_ARCHITECTURE.deb``."""
    full = f"{version()}-{revision}"
    root = WORK / "root"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    data = make_private_python(root)
    _place_units(root)
    _place_data(root, data)
    _place_documentation(root, full)
    _place_completions(root)
    _describe(root, full)
    _settle(root)
    architecture = run("dpkg", "--print-architecture").strip()
    into.mkdir(parents=True, exist_ok=True)
    package = into / f"gatepost_{full}_{architecture}.deb"
    run("dpkg-deb", "--root-owner-group", "-Zxz", "--build", root, package)
    return package


# -- what lies where


def _place_units(root: Path) -> None:
    for file in sorted((ROOT / "systemd").iterdir()):
        kind = {".sysusers": "sysusers.d", ".tmpfiles": "tmpfiles.d"}.get(file.suffix)
        if kind is not None:
            _copy(file, root / "usr/lib" / kind / "gatepost.conf")
        elif file.is_dir():
            for drop_in in sorted(file.iterdir()):
                _copy(drop_in, root / "usr/lib/systemd/system" / file.name / drop_in.name)
        else:
            _copy(file, root / "usr/lib/systemd/system" / file.name)


def _place_data(root: Path, data: Path) -> None:
    for name in CONFFILES:
        _copy(ROOT / "conf" / name, root / "etc/gatepost" / name)
    shutil.copytree(data / "gatepost" / "conf", root / "usr/share/gatepost/conf")
    for page in sorted((data / "man").glob("man?/gatepost*")):
        _pack(page.read_bytes(), root / "usr/share/man" / page.parent.name / f"{page.name}.gz")


def _place_documentation(root: Path, full: str) -> None:
    place = root / "usr/share/doc/gatepost"
    place.mkdir(parents=True)
    _copy(ROOT / "README.md", place / "README.md")
    for page in sorted((ROOT / "docs").rglob("*.md")):
        _copy(page, place / page.relative_to(ROOT))
    (place / "examples").symlink_to("../../gatepost/conf")
    _pack((ROOT / "CHANGELOG.md").read_bytes(), place / "changelog.gz")
    entry = f"gatepost ({full}) unstable; urgency=medium\n\n  * Version {version()}: see changelog.gz.\n\n"
    entry += f" -- {_maintainer()}  {format_datetime(datetime.fromtimestamp(epoch(), UTC))}\n"
    _pack(entry.encode(), place / "changelog.Debian.gz")
    site = site_packages(root)
    (place / "copyright").write_text(take_licences(site, site.relative_to(root)))
    _copy(DEBIAN / "lintian-overrides", root / "usr/share/lintian/overrides/gatepost")


def _place_completions(root: Path) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(site_packages(root))!r}); from gatepost.cli import main; main()"
    )
    for shell, place in COMPLETIONS.items():
        file = root / place
        file.parent.mkdir(parents=True)
        file.write_text(run(f"/usr/bin/{python()}", "-I", "-B", "-c", program, "completion", shell))
    (root / "usr/bin").mkdir()
    (root / "usr/bin/gatepost").symlink_to("../lib/gatepost/bin/gatepost")


def _copy(file: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, to)


def _pack(octets: bytes, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(gzip.compress(octets, 9, mtime=0))


# -- what dpkg is told


def _describe(root: Path, full: str) -> None:
    about = root / "DEBIAN"
    about.mkdir()
    for name in SCRIPTS:
        (about / name).write_text((DEBIAN / name).read_text())
    (about / "conffiles").write_text("".join(f"/etc/gatepost/{name}\n" for name in CONFFILES))
    files = sorted(file for file in root.rglob("*") if file.is_file() and not file.is_symlink())
    ours = [file for file in files if about not in file.parents]
    (about / "md5sums").write_text(
        "".join(
            f"{hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()}  {file.relative_to(root)}\n"
            for file in ours
            if file.relative_to(root).parts[0] != "etc"
        )
    )
    # As dpkg-gencontrol counts: a file by its begun kilobytes, everything else as one.
    everything = [each for each in root.rglob("*") if each != about and about not in each.parents]
    kilobytes = sum(-(-each.stat().st_size // 1024) if each in ours else 1 for each in everything)
    (about / "control").write_text(
        (DEBIAN / "control")
        .read_text()
        .format(
            version=full,
            architecture=run("dpkg", "--print-architecture").strip(),
            maintainer=_maintainer(),
            size=kilobytes,
            python=python(),
            libraries=_system_libraries(root),
        )
    )


def _system_libraries(root: Path) -> str:
    """The packages of the C libraries that the compiled modules were linked with, and from which version on."""
    modules = sorted(site_packages(root).rglob("*.so"))
    place = WORK / "shlibs"
    (place / "debian").mkdir(parents=True, exist_ok=True)
    (place / "debian" / "control").write_text("Source: gatepost\n\nPackage: gatepost\nArchitecture: any\n")
    told = run("dpkg-shlibdeps", "-O", *(f"-e{module}" for module in modules), cwd=place)
    found = re.search(r"(?m)^shlibs:Depends=(.*)$", told)
    assert found is not None
    return found[1]


def _maintainer() -> str:
    """As Debian's own tools take it from the environment."""
    name = os.environ.get("DEBFULLNAME", "gatepost maintainers")
    return f"{name} <{os.environ.get('DEBEMAIL', 'maintainers@gatepost.invalid')}>"


def _settle(root: Path) -> None:
    """The same modes and times wherever it is made."""
    runnable = {root / HOME / "bin" / "gatepost", *(root / "DEBIAN" / name for name in SCRIPTS)}
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if stat.S_ISDIR(path.stat().st_mode) or path in runnable else 0o644)
        os.utime(path, (epoch(), epoch()), follow_symlinks=False)
