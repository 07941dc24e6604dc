"""The three ways in which milters and a content filter stand around a Postfix, ready to use.

The services are called as they are in all three: ``mx`` takes mail from the
world, ``submission`` from users who log in, ``inward`` and ``outward`` take back
what the filter has seen. A layout is started by ``with``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from tests.harness.passthrough import PassThrough
from tests.harness.ports import LOOPBACK
from tests.harness.postfix import Postfix, Smtpd
from tests.harness.smtp import STRANGER, Client, Reply, deliver
from tests.harness.together import Together

LOGIN = ("anna@example.nl", "secret")
USERS: Mapping[str, str] = dict([LOGIN])

# What a port that takes mail back from a filter has to leave alone: it was done at the front.
_TAKES_BACK = {
    "receive_override_options": "no_unknown_recipient_checks, no_header_body_checks",
    "local_header_rewrite_clients": "",
    "smtpd_client_restrictions": "permit_mynetworks, reject",
}


class Layout(Together):
    """A Postfix and the filters beside it."""

    def __init__(self, postfix: Postfix, filters: Sequence[PassThrough] = ()) -> None:
        self.postfix = postfix
        self.filters = tuple(filters)

    def receive(
        self,
        octets: bytes,
        sender: str,
        recipients: Sequence[str],
        *parameters: str,
        client: Client | None = STRANGER,
    ) -> Reply:
        """Bring a message to the MX as *client* of the outside world (None: as 127.0.0.1)."""
        return deliver(self.postfix.port("mx"), octets, sender, recipients, *parameters, client=client)

    def submit(self, octets: bytes, sender: str, recipients: Sequence[str], *parameters: str) -> Reply:
        """Submit a message as a user who has logged in."""
        return deliver(self.postfix.port("submission"), octets, sender, recipients, *parameters, login=LOGIN)

    def _start(self, starting: ExitStack) -> None:
        for each in self.filters:
            starting.enter_context(each)
        starting.enter_context(self.postfix)


def layout_a(
    *,
    border: Sequence[str] = (),
    inward: Sequence[str] = (),
    outward: Sequence[str] = (),
    policy: Sequence[str] = (),
    options: Mapping[str, str] | None = None,
) -> Layout:
    """A, a content filter after the queue.

    *border* are the milters of the port for the world, *inward* and *outward*
    those of the ports behind the filter; *policy* are policy services at RCPT.
    """
    back = Smtpd(name="inward", milters=inward, options=_TAKES_BACK)
    out = Smtpd(name="outward", milters=outward, options=_TAKES_BACK)
    return _with_filters(back, out, _mx(border, policy), options)


def layout_b(
    *,
    border: Sequence[str] = (),
    inward: Sequence[str] = (),
    outward: Sequence[str] = (),
    policy: Sequence[str] = (),
    options: Mapping[str, str] | None = None,
) -> Layout:
    """B, a content filter before the queue for mail from the world, after it for mail of users.

    The milters in *border* are connected to and see no message.
    """
    back = Smtpd(name="inward", milters=inward, options=_TAKES_BACK)
    out = Smtpd(name="outward", milters=outward, options=_TAKES_BACK)
    return _with_filters(back, out, _mx(border, policy), options, before_queue=True)


def layout_c(
    *,
    milters: Sequence[str] = (),
    policy: Sequence[str] = (),
    options: Mapping[str, str] | None = None,
) -> Layout:
    """C, no content filter: both ports carry the same *milters*."""
    submission = Smtpd(
        name="submission", milters=milters, sasl=True, daemon_name="ORIGINATING", networks=["127.0.0.255/32"]
    )
    return Layout(Postfix([_mx(milters, policy), submission], users=USERS, options=options))


def _mx(milters: Sequence[str], policy: Sequence[str]) -> Smtpd:
    return Smtpd(name="mx", milters=milters, policy=policy)


def _with_filters(
    back: Smtpd, out: Smtpd, mx: Smtpd, options: Mapping[str, str] | None, *, before_queue: bool = False
) -> Layout:
    inward_filter, outward_filter = PassThrough(back.port), PassThrough(out.port)
    mx = Smtpd(
        name=mx.name,
        port=mx.port,
        milters=mx.milters,
        policy=mx.policy,
        content_filter="" if before_queue else f"filter:[{LOOPBACK}]:{inward_filter.port}",
        proxy_filter=inward_filter.port if before_queue else 0,
    )
    submission = Smtpd(
        name="submission",
        sasl=True,
        daemon_name="ORIGINATING",
        networks=["127.0.0.255/32"],
        content_filter=f"filter:[{LOOPBACK}]:{outward_filter.port}",
    )
    postfix = Postfix([mx, back, submission, out], users=USERS, options=options)
    return Layout(postfix, [inward_filter, outward_filter])
