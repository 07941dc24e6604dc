"""The files that daemons read as secrets go away, or are closed to them, while mail comes in."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.e2e.mx import Mx
from tests.e2e.support import FRIEND, key_entries, message
from tests.harness.daemon import Installation
from tests.harness.keys import passes, rsa_key
from tests.harness.milter_client import Mail, MilterClient
from tests.harness.ports import LOOPBACK
from tests.harness.postfix import Postfix, Smtpd
from tests.harness.smtp import deliver
from tests.unit.docs.fault_table import shows

REFUSED = "not reloaded: the old configuration stays in force"


def test_the_seal_secret_is_removed(tmp_path: Path) -> None:
    """Another secret would have the daemons believe nothing of what their fellows have sealed."""
    with Mx(tmp_path, {"seal": True}) as mx:
        secret = tmp_path / "seal.key"
        octets = secret.read_bytes()
        secret.unlink()
        mx.daemon.reload()
        mx.send("without")
        assert "dkim=pass" in mx.result("without")
        assert not secret.exists()
        shows("The seal's secret is removed", mx.daemon.log())
        secret.touch(mode=0o640)
        secret.write_bytes(octets)
        mx.daemon.reload()
        assert mx.said("reloaded workers=")
        # A start makes a new one.
        mx.daemon.stop()
        secret.unlink()
        mx.daemon.start()
        assert secret.read_bytes() != octets


def test_a_private_key_is_removed(tmp_path: Path) -> None:
    key = rsa_key("example.nl")
    sections = {"dkim-sign": {"keys": key_entries(tmp_path, [key])}}
    with Installation(tmp_path, sections) as gatepost:
        signer = gatepost["dkim-sign"]
        with Postfix([Smtpd(name="out", milters=[signer.milter])]) as postfix:
            (tmp_path / "example.nl.mail.private").unlink()
            signer.reload()
            deliver(postfix.port("out"), message("anna@example.nl", FRIEND), "anna@example.nl", [FRIEND])
            [delivery] = postfix.wait_for_delivery(FRIEND)
        assert passes(delivery.octets, {key.name: key.record}) == [True]
        shows("A private key is removed", signer.log())


def test_a_reload_is_root_no_longer(open_place: Path) -> None:
    key = rsa_key("example.nl")
    sections = {"dkim-sign": {"keys": key_entries(open_place, [key]), "user": "nobody"}}
    with Installation(open_place, sections) as gatepost:
        signer = gatepost["dkim-sign"]
        signer.reload()
        assert REFUSED in signer.log()
        shows("A reload of keys that only root can read", signer.log())
        mail = Mail([(b"From", b" anna@example.nl")], b"Hello.\r\n", client_address="127.0.0.1")
        with MilterClient((LOOPBACK, signer.port)) as client:
            signed = [name for name, _ in client.send(mail).delivered]
        assert b"DKIM-Signature" in signed
        # As the log says it is to be mended.
        shutil.chown(open_place / "example.nl.mail.private", group="nogroup")
        (open_place / "example.nl.mail.private").chmod(0o640)
        signer.reload()
        assert "reloaded workers=" in signer.log()
