"""The real OpenDKIM, as signer or verifier, in the foreground with a configuration of its own.

What building it showed, on OpenDKIM 2.11 of Debian 12:

- ``TestPublicKeys`` gives it keys without any DNS: one line a record, name and
  text with white space between.
- ``RequireSafeKeys`` refuses keys below /tmp, which anyone may write to, and
  then answers every message with 451; the reason goes to syslog alone.
- All keys of a sender sign only where the SigningTable is a ``refile:``; in a
  plain file the last entry replaces the others.
- Ed25519 keys it verifies with, but does not sign with: a message to be signed
  with one is answered with 451.
- In mode ``v`` it leaves 127.0.0.1 alone unless ``InternalHosts`` says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.harness.keys import KeyPair
from tests.harness.peer import NOBODY, Peer
from tests.harness.ports import LOOPBACK


class OpenDkim(Peer):
    """A running OpenDKIM on a free port, as a context manager.

    With *keys* it signs, for the clients in *internal* (addresses and
    networks); with *records* (name to text) it verifies. ``options`` are
    further lines of its configuration.
    """

    def __init__(
        self,
        directory: Path,
        *,
        keys: Sequence[KeyPair] = (),
        records: Mapping[str, str] | None = None,
        internal: Sequence[str] = (LOOPBACK,),
        canonicalization: str = "relaxed/relaxed",
        authserv_id: str = "mail.example.nl",
        options: Mapping[str, str] | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        mode = ("s" if keys else "") + ("v" if records is not None else "")
        settings = {
            "LogWhy": "yes",
            "Mode": mode,
            "Canonicalization": canonicalization,
            "AuthservID": authserv_id,
            "AlwaysAddARHeader": "yes",
            "SoftwareHeader": "no",
            "MinimumKeyBits": "1024",
            "RequireSafeKeys": "no",
        }
        hosts = directory / "internal"
        hosts.write_text("".join(f"{host}\n" for host in (internal if keys else [NOBODY])))
        settings["InternalHosts"] = str(hosts)
        if keys:
            settings |= _tables(directory, keys)
        if records is not None:
            published = directory / "public"
            published.write_text("".join(f"{name} {text}\n" for name, text in records.items()))
            settings["TestPublicKeys"] = str(published)
        super().__init__("opendkim", directory, settings | dict(options or {}))


def _tables(directory: Path, keys: Sequence[KeyPair]) -> dict[str, str]:
    key_table, signing_table = [], []
    for number, key in enumerate(keys):
        file = key.write(directory / f"{number}.private")
        key_table.append(f"{number} {key.domain}:{key.selector}:{file}\n")
        signing_table.append(f"*@{key.domain} {number}\n")
    (directory / "keys").write_text("".join(key_table))
    (directory / "signing").write_text("".join(signing_table))
    return {
        "KeyTable": str(directory / "keys"),
        "SigningTable": f"refile:{directory / 'signing'}",
        "MultipleSignatures": "yes",
    }
