"""The virtual environment of Debian's package: gatepost and its libraries below ``/usr/lib/gatepost``.

It holds no Python of its own but a link to the system's, and no compiled
Python: that is made on the host, by the package's postinst.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from script.packages.distributions import make_wheel
from script.packages.lock import LOCK
from script.packages.tree import WORK, PackagingError, run

HOME = Path("usr/lib/gatepost")
"""Where it lies, seen from the root directory."""

_PROGRAM = """\
#!/{home}/bin/python3 -I
import sys

from gatepost.cli import main

if __name__ == "__main__":
    sys.exit(main())
"""

# What nobody needs to run it: programs of the libraries, their sources in C, their tests; notes of pip and setuptools.
_SUPERFLUOUS = ("bin", "include", "**/*.c", "**/*.h", "**/*.pyx", "**/*.pxd", "**/*.pxi", "**/test_*.txt")
_NOTES = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "WHEEL", "*.txt", "zip-safe", "sboms")


def python() -> str:
    """The system's Python by its name with minor version: ``python3.11``. Raises PackagingError for another one."""
    name = f"python3.{sys.version_info.minor}"
    if sys.base_prefix != "/usr" or not Path("/usr/bin", name).exists():
        raise PackagingError(
            f"Debian's package needs Debian's Python, and {sys.base_prefix} is not: PYTHON=/usr/bin/python3"
        )
    return name


def site_packages(root: Path) -> Path:
    """Where its modules lie, below the package's *root*."""
    return root / HOME / "lib" / python() / "site-packages"


def make_private_python(root: Path) -> Path:
    """Make it below *root*, and give the directory of the data files that came with gatepost's wheel."""
    site = site_packages(root)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    # Those with hashes first: pip wants one for each or for none.
    wheels = WORK / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    run(
        *pip,
        "wheel",
        "--quiet",
        "--require-hashes",
        "--no-deps",
        "--no-build-isolation",
        "-r",
        LOCK,
        "-w",
        wheels,
    )
    make_wheel(wheels)
    into = ["--quiet", "--no-index", "--no-deps", "--no-compile", "--target", str(site)]
    run(*pip, "install", *into, *sorted(wheels.glob("*.whl")))
    data = root.parent / "data"
    shutil.rmtree(data, ignore_errors=True)
    shutil.move(site / "share", data)
    _prune(site)
    _link(root)
    return data


def _prune(site: Path) -> None:
    for pattern in _SUPERFLUOUS:
        for found in list(site.glob(pattern)):
            _remove(found)
    for package in site.glob("*.dist-info"):
        for pattern in _NOTES:
            for found in package.glob(pattern):
                _remove(found)
    for module in site.rglob("*.py"):
        _without_interpreter(module)
    for library in site.rglob("*.so"):
        run("strip", "--strip-unneeded", "--remove-section=.comment", "--remove-section=.note", library)
    for directory in sorted(site.rglob("*/"), reverse=True):
        if directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()


def _without_interpreter(module: Path) -> None:
    """Modules are no programs here; the line stays, so that those below keep their numbers."""
    text = module.read_bytes()
    if text.startswith(b"#!"):
        module.write_bytes(text[text.index(b"\n") :])


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _link(root: Path) -> None:
    """What makes a virtual environment of it: a pyvenv.cfg beside bin/, and in there a Python that finds it."""
    home = root / HOME
    (home / "bin").mkdir()
    (home / "bin" / "python3").symlink_to(f"../../../bin/{python()}")
    version = ".".join(map(str, sys.version_info[:2]))
    (home / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {version}\n"
    )
    program = home / "bin" / "gatepost"
    program.write_text(_PROGRAM.format(home=HOME))
    program.chmod(0o755)
