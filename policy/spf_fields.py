"""The header fields that spf has Postfix PREPEND: one sealed Authentication-Results, one Received-SPF, or both."""

from __future__ import annotations

from collections.abc import Callable

from gatepost.authres.seal import Sealer
from gatepost.authres.spf_field import Stated, write_spf_field
from gatepost.config.spf_settings import Spf
from gatepost.spf.report import authres_result, received_spf
from policy.spf_rules import Results


class Fields:
    """Writes the fields that the *settings* ask for.

    *clock* gives the time in seconds since 1970, for the seal.
    """

    def __init__(self, settings: Spf, authserv_id: str, sealer: Sealer, clock: Callable[[], float]) -> None:
        self._authres = settings.header in ("a-r", "both")
        self._received = settings.header in ("received-spf", "both")
        self._authserv_id = authserv_id
        self._receiver = "" if settings.hide_receiver else authserv_id
        self._sealer = sealer
        self._clock = clock

    def actions(self, results: Results) -> list[str]:
        """The actions that add them to a message with these results; each takes one request."""
        if results.helo is None and results.mail_from is None:
            return []
        helo, sender = octets(results.helo_said), octets(results.sender_said)
        actions = []
        if self._authres:
            told = []
            # Readers that know of one result only take the last.
            if results.helo is not None:
                told.append(authres_result(results.helo, helo))
            if results.mail_from is not None:
                told.append(authres_result(results.mail_from, sender))
            stated = Stated(results.client, helo, sender)
            value = write_spf_field(self._authserv_id, told, stated, self._sealer, self._clock())
            if value is not None:
                actions.append(f"PREPEND Authentication-Results: {value}")
        if self._received and results.sender is not None:
            told_of = received_spf(results.sender, results.client, helo, sender, self._receiver)
            actions.append(f"PREPEND Received-SPF: {told_of}")
        return actions


def octets(text: str) -> bytes:
    """What the client said, as it came."""
    return text.encode("utf-8", "surrogateescape")
