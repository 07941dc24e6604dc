"""Mail from the world, to the mailbox."""

from __future__ import annotations

from tests.pipeline.mailbox import arrived
from tests.pipeline.senders import mail, send
from tests.pipeline.server import BERT, Server
from tests.pipeline.servers.dns import OUTSIDE

FRIEND = "friend@example.org"
RESULTS = "Authentication-Results"


def test_a_valid_signature(server: Server) -> None:
    sent = mail(FRIEND, BERT)
    outcome = send(OUTSIDE, server.theirs[0].sign(sent.octets), FRIEND, [BERT])
    assert outcome.code == 250
    delivery = arrived(BERT, sent.message_id)
    assert "dkim=pass" in " ".join(delivery.values(RESULTS))
