"""What a policy service is, seen from the server.

A service is a :class:`Handler`: it answers each request of Postfix's policy
delegation protocol with one action (access(5), SMTPD_POLICY_README). It knows
nothing of sockets; the server knows nothing of mail.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Protocol

LONGEST_ADDRESS = 100
"""Characters of the longest client address: of IPv6, with a scope. What is longer is none, and not worth a look."""

LONGEST_CLIENT_NAME = 255
"""Characters of the longest name of a client (RFC 1035 §2.3.4)."""

DUNNO = "DUNNO"
"""No opinion: Postfix goes on with its next restriction."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``attributes`` holds what Postfix sent, octets that are no UTF-8 surrogate-escaped.

    The properties name what the services use; what Postfix did not send is "".
    """

    attributes: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.attributes.get(name, "")

    @property
    def state(self) -> str:
        """The stage of the SMTP session: CONNECT, EHLO, MAIL, RCPT, DATA, END-OF-MESSAGE, VRFY or ETRN."""
        return self.attributes.get("protocol_state", "")

    @property
    def client_address(self) -> str:
        """The client's IP address; "unknown" where a proxy does not tell, "" for what is too long to be one."""
        address = self.attributes.get("client_address", "")
        return address if len(address) <= LONGEST_ADDRESS else ""

    @property
    def client_name(self) -> str:
        """The client's forward-confirmed host name, or "unknown"; "" for what is too long to be one."""
        name = self.attributes.get("client_name", "")
        return name if len(name) <= LONGEST_CLIENT_NAME else ""

    @property
    def helo(self) -> str:
        """What the client calls itself."""
        return self.attributes.get("helo_name", "")

    @property
    def sender(self) -> str:
        """MAIL FROM without angle brackets; "" for the null reverse-path."""
        return self.attributes.get("sender", "")

    @property
    def recipient(self) -> str:
        """The recipient of this RCPT, as Postfix writes it; "" at other stages, and at DATA with several."""
        return self.attributes.get("recipient", "")

    @property
    def login(self) -> str:
        """The SASL login name; "" for a client that did not authenticate."""
        return self.attributes.get("sasl_username", "")

    @property
    def instance(self) -> str:
        """The same text for all requests about one message, and for no other message."""
        return self.attributes.get("instance", "")

    @property
    def queue_id(self) -> str:
        """Postfix's queue id; "" before the first accepted recipient."""
        return self.attributes.get("queue_id", "")


class Handler(Protocol):
    """One policy service. Shared by all connections of a process."""

    name: str

    def decide(self, request: Request) -> str | Awaitable[str]:
        """The action for one request, one line such as ``DUNNO`` or ``PREPEND NAME: VALUE``.

        An awaitable is awaited on the event loop; other requests go on meanwhile.
        """

    async def close(self) -> None:
        """The service stops, and all requests have been answered: let go of stores and resolvers."""
