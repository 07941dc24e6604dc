"""Mistakes that keep a daemon from starting, or that it tells of when it starts."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from tests.e2e.mx import ACTIVATE
from tests.e2e.troubles.scene import NOBODY, Scene, changed, gives, put, secret_of_nobody
from tests.harness.keys import KeyPair, rsa_key

YAML = "/etc/gatepost/gatepost.yaml"
VERIFY = "daemons:\n  dkim-verify:\n    socket: inet:8891@127.0.0.1\n"
UNIX = "daemons:\n  dkim-verify:\n    socket: unix:/run/gatepost/verify\n"
SIGN = """\
daemons:
  dkim-sign:
    socket: inet:8892@127.0.0.1
    keys:
      - {domain: example.nl, selector: mail, file: /etc/gatepost/keys/mail.private}
"""
SECRET = "/var/lib/gatepost/seal.key"
KEY = "/etc/gatepost/keys/mail.private"
AT_KEY = f"{YAML}:7:46: daemons.dkim-sign.keys[1].file: {KEY}"


def wrong(text: str, line: str, name: str = "dkim-verify") -> None:
    """Add a file that cannot be used."""

    def mistake(scene: Scene) -> Sequence[str]:
        scene.configure(text)
        return scene.refuses(name)

    gives(line)(mistake)


wrong(
    VERIFY.replace("socket", "sockets"),
    f'{YAML}:5:5: daemons.dkim-verify.sockets: unknown key (did you mean "socket"?)',
)
wrong(
    VERIFY.replace("8891", "889l"),
    f"{YAML}:5:5: daemons.dkim-verify.socket: expected a socket such as inet:8891@127.0.0.1 or"
    ' unix:/run/gatepost/verify, not "inet:889l@127.0.0.1"',
)
wrong(
    VERIFY + "     metrics: 127.0.0.1:9891\n",
    f'{YAML}:6:13: a ":" too many, or indented too far (a value with ": " in it has to stand in quotes)',
)
wrong(VERIFY.replace("    ", "\t"), f"{YAML}:5:1: a tab; indent with spaces")
wrong(
    VERIFY.replace("verify", "verfy"),
    f'{YAML}:4:3: daemons.dkim-verfy: no kind of daemon (did you mean "dkim-verify"?);'
    " a name of its own needs kind: below it",
)
wrong(VERIFY, "the configuration has no daemon dkim-sign (it has: dkim-verify)", "dkim-sign")
wrong(
    VERIFY + "    user: gatepst\n",
    f'{YAML}:6:5: daemons.dkim-verify.user: there is no user "gatepst" on this host:'
    " correct the name, or make it with useradd --system",
)
wrong(
    VERIFY + "    metrics: 127.0.0.1:8891\n",
    f"{YAML}:6:5: daemons.dkim-verify.metrics: port 8891 is taken by daemons.dkim-verify.socket (line 5)",
)
wrong(
    VERIFY + "    engine: libmilter\n    workers: 2\n",
    f"{YAML}:7:5: daemons.dkim-verify.workers: engine: libmilter runs with one worker, not 2:"
    " leave one of the two options out",
)
wrong(
    UNIX.replace("gatepost/v", "gatepst/v"),
    "cannot make /run/gatepst/verify: there is no directory /run/gatepst: create it",
)


@gives(f"{YAML}: there is no such file")
def _no_file(scene: Scene) -> Sequence[str]:
    return scene.refuses()


@gives("address 127.0.0.1:8891 is in use (is opendkim still running? see `ss -ltnp sport = :8891`)")
def _port_taken(scene: Scene) -> Sequence[str]:
    scene.configure(VERIFY)
    with socket.create_server((scene.host, 8891)):
        return scene.refuses()


@gives("address 127.0.0.1:9891 is in use (see who has it: `ss -ltnp sport = :9891`)")
def _metrics_port_taken(scene: Scene) -> Sequence[str]:
    scene.configure(VERIFY + "    metrics: 127.0.0.1:9891\n")
    with socket.create_server((scene.host, 9891)):
        return scene.refuses()


@gives(
    "another process listens on /run/gatepost/verify (this daemon, already? see `ss -lxp src /run/gatepost/verify`)"
)
def _running_already(scene: Scene) -> Sequence[str]:
    scene.configure(UNIX)
    with scene.running():
        return scene.refuses()


@gives("/run/gatepost/verify exists and is no socket: move it away, or choose another path")
def _no_socket(scene: Scene) -> Sequence[str]:
    scene.configure(UNIX)
    scene.path("/run/gatepost/verify").touch()
    return scene.refuses()


@gives(
    "cannot make /run/gatepost/verify: no permission: give /run/gatepost to the user that the daemon starts as"
)
def _directory_of_root(scene: Scene) -> Sequence[str]:
    scene.configure(UNIX)
    secret_of_nobody(scene)
    return scene.refuses(prefix=NOBODY)


@gives(
    "runs as gatepost and cannot become daemon: start it as root, or take `user:` out of the configuration"
)
def _not_root(scene: Scene) -> Sequence[str]:
    scene.configure(VERIFY + "    user: daemon\n")
    scene.hide("runs as nobody", "runs as gatepost")
    secret_of_nobody(scene)
    return scene.refuses(prefix=NOBODY)


def key(line: str, content: bytes | None, mode: int = 0o640, prefix: Sequence[str] = ()) -> None:
    """Add a key that cannot be used."""

    def mistake(scene: Scene) -> Sequence[str]:
        scene.configure(SIGN)
        scene.hide("user nobody", "user gatepost-sign")
        scene.hide("nogroup", "gatepost-sign")
        if content is not None:
            put(scene.path(KEY), content, mode)
        return scene.refuses("dkim-sign", prefix=prefix)

    gives(f"{AT_KEY} {line}")(mistake)


_GOOD = rsa_key("example.nl").pem
_SHORT = KeyPair("example.nl", "mail", generate_private_key(65537, 1024)).pem  # refused

key("does not exist: correct the name, or make a key with gatepost keygen", None)
key(f"can be read by every user: chmod 640 {KEY}", _GOOD, 0o644)
key(
    f"cannot be read by user gatepost-sign: chgrp gatepost-sign {KEY} && chmod 640 {KEY},"
    " and let that group enter the directories above it",
    _GOOD,
    prefix=NOBODY,
)
key("is not a private key in PEM or base64: make one with gatepost keygen", b"p=MIIBIjANBgkqh")
key(
    "is an RSA key of 1024 bits, less than 2048: make a longer one with gatepost keygen (RFC 8301 §3.2)",
    _SHORT,
)


def seal(line: str, mode: int, prefix: Sequence[str] = (), content: bytes = b"x" * 32) -> None:
    """Add a seal's secret that cannot be used."""

    def mistake(scene: Scene) -> Sequence[str]:
        scene.configure(VERIFY)
        put(scene.path("/var/lib/gatepost/seal.key"), content, mode)
        return scene.refuses(prefix=prefix)

    gives(f"{YAML}:2:1: seal_secret: {SECRET}: {line}")(mistake)


seal(f"open to every user of this host: 'chmod o= {SECRET}'", 0o644)
seal(
    "cannot read the seal secret: Permission denied: let the group of the daemons read it"
    f" ('chgrp GROUP {SECRET}; chmod 0640 {SECRET}')",
    0o640,
    NOBODY,
)
seal(
    "6 octets are too few for a secret, 32 are needed: remove the file, and the next start makes a new one",
    0o640,
    content=b"secret",
)


@gives("not reloaded: the old configuration stays in force")
def _broken_at_reload(scene: Scene) -> Sequence[str]:
    scene.configure(VERIFY)
    with scene.running() as daemon:
        scene.configure(VERIFY.replace("socket", "sockets"))
        daemon.process.signal(signal.SIGHUP)
        seen = daemon.says("not reloaded")
        assert any(line.endswith('(did you mean "socket"?)') for line in seen)
        return seen


@gives(
    "systemd passed an address that `socket:` does not name; serving it too: make it and the unit's"
    " ListenStream= the same address=inet:127.0.0.1:8895"
)
def _another_address_of_systemd(scene: Scene) -> Sequence[str]:
    scene.configure(VERIFY)
    with socket.create_server((scene.host, 8895)) as listener:
        prefix = [sys.executable, "-c", ACTIVATE, str(listener.fileno()), "dkim-verify"]
        with scene.running(prefix=prefix, descriptors=(listener.fileno(),)) as daemon:
            return daemon.says("ListenStream=")


@gives("runs as root: set `user:` to an account of its own")
def _root(scene: Scene) -> Sequence[str]:
    scene.configure(VERIFY)
    with scene.running() as daemon:
        return daemon.says("runs as root")


@gives(
    f"{YAML}:6:5: daemons.dkim-verify.engine: libmilter needs the Python package pymilter,"
    " which is not installed (or leave the option out)"
)
def _without_pymilter(scene: Scene) -> Sequence[str]:
    scene.configure(VERIFY + "    engine: libmilter\n")
    return scene.refuses(prefix=changed("sys.modules['Milter'] = None"))
