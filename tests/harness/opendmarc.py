"""The real OpenDMARC, as filter on the results of others, in the foreground with a configuration of its own.

What building it showed, on OpenDMARC 1.4.2 of Debian 12:

- ``TestDNSData`` (in no manual) gives it TXT records without any DNS: one line
  a record, name and text with white space between.
- Without an ``IgnoreHosts`` file it leaves 127.0.0.1 alone.
- With ``SPFSelfValidate`` and no SPF result it asks the DNS by libspf2, which
  knows nothing of TestDNSData: the results have to be brought along.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.harness.peer import NOBODY, Peer

SUFFIXES = Path("/usr/share/publicsuffix/public_suffix_list.dat")


class OpenDmarc(Peer):
    """A running OpenDMARC on a free port, as a context manager.

    *records* are the TXT records that it sees, by name; without them it asks the
    system's DNS. ``options`` are further lines of its configuration. It believes
    what *authserv_id* writes, refuses p=reject, and holds p=quarantine.
    """

    def __init__(
        self,
        directory: Path,
        *,
        records: Mapping[str, str] | None = None,
        authserv_id: str = "mail.example.nl",
        options: Mapping[str, str] | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        hosts = directory / "ignored"
        hosts.write_text(f"{NOBODY}\n")
        settings = {
            "AuthservID": authserv_id,
            "TrustedAuthservIDs": authserv_id,
            "IgnoreHosts": str(hosts),
            "PublicSuffixList": str(SUFFIXES),
            "RejectFailures": "yes",
            "HoldQuarantinedMessages": "yes",
            "SPFIgnoreResults": "no",
            "SPFSelfValidate": "no",
        }
        if records is not None:
            data = directory / "dns"
            data.write_text("".join(f"{name} {text}\n" for name, text in records.items()))
            settings["TestDNSData"] = str(data)
        super().__init__("opendmarc", directory, settings | dict(options or {}))
