"""docs/tutorial.md, step by step: its configuration is run, its mails are sent, and what it shows is seen.

A comment ``<!-- mail … -->`` of the page sends that mail through a Postfix with
the main.cf and the gatepost.yaml that the page has come to by then; the blocks
behind it, as far as they are header, smtp or log, show what becomes of it.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.support import ANNA, BERT, FRIEND, message
from tests.harness.daemon import Daemon, Installation
from tests.harness.delivery import Delivery
from tests.harness.keys import KeyPair, rsa_key
from tests.harness.layouts import Layout, layout_c
from tests.harness.smtp import STRANGER, Client, RefusedError
from tests.harness.waiting import wait_for
from tests.unit.docs.pages import DOCS, ROOT
from tests.unit.docs.sandbox import CONFIG, Sandbox, fits, session

PAGE = DOCS / "tutorial.md"
EVENT = re.compile(
    r"(?ms)<!-- (?:(published|configured)|file (\S+)|mail from ([^>]+?)) -->|^```([^\n`]*)\n(.*?)^```"
)
SPOOFER = Client("203.0.113.66", "", "mail.evil.example")
CARLA = "carla@newcomer.example"
NEWCOMER = Client("198.51.100.7", "mx.newcomer.example", "mx.newcomer.example")
ZONE = {
    "example.org": [{"TXT": f"v=spf1 ip4:{STRANGER.address} -all"}],
    "bank.example": [{"TXT": "v=spf1 ip4:203.0.113.5 -all"}],
    "_dmarc.bank.example": [{"TXT": "v=DMARC1; p=reject"}],
}

pytestmark = pytest.mark.e2e


@dataclass
class Seen:
    """What became of a mail: the fields of what was delivered, the replies, and what the daemons have logged by now."""

    delivered: list[Delivery] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)
    log: Callable[[], str] = str


class Site:
    """The server that the page builds, as far as it has come."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.main: dict[str, str] = {}
        self.theirs: KeyPair = rsa_key("example.org")
        self._running: tuple[Installation, Layout] | None = None
        self._started_with: tuple[str, dict[str, str]] = ("", {})
        self._stack = ExitStack()
        sandbox.records |= {**ZONE, self.theirs.name: [{"TXT": self.theirs.record}]}
        sandbox.publish()

    def set_main(self, text: str) -> None:
        """Take over lines of main.cf."""
        for line in re.sub(r"\n\s+", " ", text).strip().splitlines():
            name, _, value = line.partition("=")
            self.main[name.strip()] = value.strip()

    def running(self) -> tuple[Installation, Layout]:
        """The daemons and the Postfix, started anew where the page has changed their configuration."""
        text = self.sandbox.path(CONFIG).read_text()
        if self._running is None or self._started_with != (text, dict(self.main)):
            self.close()
            self._started_with = (text, dict(self.main))
            self._running = self._stack.enter_context(self._start(text))
        return self._running

    def close(self) -> None:
        """Stop what runs."""
        self._running = None
        self._stack.close()

    @contextmanager
    def _start(self, text: str) -> Iterator[tuple[Installation, Layout]]:
        whole = yaml.safe_load(text)
        daemons: dict[str, dict[str, Any]] = whole.pop("daemons")
        state = self.sandbox.path("/var/lib/gatepost")
        if "dmarc-enforce" in daemons:
            daemons["dmarc-enforce"]["history"] = str(state / "dmarc.db")
        if "greylist" in daemons:
            # Mail passes where the store is slow, as on a busy machine.
            daemons["greylist"] |= {"store": f"sqlite:{state}/greylist.sqlite", "store_timeout": "20s"}
        addresses = {shown(options["socket"]): name for name, options in daemons.items()}
        for options in daemons.values():
            del options["socket"]
            options.pop("metrics")
        with tempfile.TemporaryDirectory(prefix="gatepost-") as directory:
            gatepost = Installation(Path(directory), daemons, whole)

            def at(address: str) -> str:
                return gatepost[addresses[address]].milter

            milters = [at(each) for each in self.main["smtpd_milters"].split(", ")]
            asked = re.findall(
                r"check_policy_service (\S+)", self.main.get("smtpd_recipient_restrictions", "")
            )
            layout = layout_c(
                milters=milters,
                policy=[at(each) for each in asked],
                options={"milter_default_action": self.main["milter_default_action"]},
            )
            with ExitStack() as running:
                # A daemon ends with the thread that started it.
                threads = running.enter_context(ThreadPoolExecutor())
                for daemon in gatepost.daemons.values():
                    running.callback(daemon.stop)
                list(threads.map(Daemon.start, gatepost.daemons.values()))
                running.enter_context(layout)
                yield gatepost, layout


def shown(socket: Any) -> str:
    """A socket of gatepost.yaml as main.cf has it."""
    if isinstance(socket, dict):
        return f"unix:{socket['address'].partition('/queue/')[2] or 'private/gatepost-spf'}"
    kind, port, host = re.fullmatch(r"(\w+):(\d+)@(.+)", socket).groups()  # type: ignore[union-attr]
    return f"{kind}:{host}:{port}"


def friendly(site: Site, layout: Layout, seen: Seen) -> None:
    before = len(layout.postfix.deliveries(BERT))
    layout.receive(site.theirs.sign(message(FRIEND, BERT)), FRIEND, [BERT])
    seen.delivered += layout.postfix.wait_for_delivery(BERT, before + 1)[before:]


def ours(site: Site, layout: Layout, seen: Seen) -> None:
    layout.submit(message(ANNA, FRIEND), ANNA, [FRIEND])
    seen.delivered += layout.postfix.wait_for_delivery(FRIEND)


def refused(author: str, sender: str, client: Client) -> Callable[[Site, Layout, Seen], None]:
    """A mail that is not taken."""

    def send(site: Site, layout: Layout, seen: Seen) -> None:
        with pytest.raises(RefusedError) as error:
            layout.receive(message(author, BERT), sender, [BERT], client=client)
        seen.replies.append(f"{error.value.reply.code} {error.value.reply.text}")

    return send


def again(site: Site, layout: Layout, seen: Seen) -> None:
    """The mail that was put off, as soon as it is taken: the page's five minutes are one second here."""
    greylist = site.running()[0]["greylist"]
    greylist.file.write_text(
        greylist.file.read_text().replace("  greylist:\n", "  greylist:\n    delay: 1s\n")
    )
    greylist.reload()
    before = len(layout.postfix.deliveries(BERT))

    def taken() -> bool:
        try:
            layout.receive(message(CARLA, BERT), CARLA, [BERT], client=NEWCOMER)
        except RefusedError:
            return False
        return True

    wait_for(taken, "the end of greylisting")
    seen.delivered += layout.postfix.wait_for_delivery(BERT, before + 1)[before:]


MAILS: dict[str, Callable[[Site, Layout, Seen], None]] = {
    "a friend": friendly,
    "our user": ours,
    "a server that may not": refused("info@bank.example", "info@bank.example", SPOOFER),
    "a spoofer": refused("ceo@bank.example", "x@evil.example", SPOOFER),
    "a newcomer": refused(CARLA, CARLA, NEWCOMER),
    "a newcomer, again": again,
}


def sent(site: Site, name: str) -> Seen:
    """Send the mail called *name* through the site, and gather what became of it."""
    seen = Seen()
    gatepost, layout = site.running()
    MAILS[name](site, layout, seen)
    seen.log = lambda: "".join(daemon.log() for daemon in gatepost.daemons.values())
    return seen


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_COLOR", "1")
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="g-")))
        root.chmod(0o755)
        sandbox = Sandbox(root, monkeypatch)
        sandbox.write("/etc/gatepost/greylist-allow", (ROOT / "conf" / "greylist-allow").read_text())
        site = Site(sandbox)
        stack.callback(site.close)
        yield site


def test_each_step_shows_what_is_seen(site: Site) -> None:
    awaited, seen, compared = "", Seen(), 0
    for event in EVENT.finditer(PAGE.read_text()):
        happened, file, mail, language, text = event.groups()
        if happened == "published":
            site.sandbox.publish()
        elif mail:
            seen = sent(site, mail)
        elif happened or file:
            awaited = happened or file
        elif language == "console":
            for command, output in session(text):
                real = site.sandbox.run(command)
                assert fits(output, real), f"$ {command}\n{real}"
        elif language == "main.cf":
            site.set_main(text)
        elif awaited:
            assert language == "yaml"
            site.sandbox.configure(text) if awaited == "configured" else site.sandbox.write(awaited, text)
            awaited = ""
        elif language in ("header", "smtp", "log"):
            compare(language, text, seen)
            compared += 1
    assert compared > 10


def compare(language: str, text: str, seen: Seen) -> None:
    """Assert that what the page shows has been seen; a line of the log may come a moment after the reply."""
    if language == "header":
        fields = [
            f"{each.name.decode()}:{each.value.decode()}" for mail in seen.delivered for each in mail.fields
        ]
        assert shows(re.sub(r"\n\s+", " ", text).strip(), fields), fields
        return
    for line in text.splitlines():
        if language == "smtp":
            assert shows(line, seen.replies), seen.replies
        else:
            wait_for(partial(logged, line, seen), line)


def logged(line: str, seen: Seen) -> bool:
    return shows(line, seen.log().splitlines())


def shows(line: str, found: list[str]) -> bool:
    """Whether *line* of the page, in which ``…`` is any text, is among what was found."""
    pattern = re.compile(".*" + ".*?".join(re.escape(part) for part in masked(line).split("…")))
    return any(pattern.fullmatch(masked(each)) for each in found)


def masked(line: str) -> str:
    """A line without folds, the queue id, and Postfix's number for the message."""
    line = re.sub(r"(?<=[: ])[0-9A-F]{8,}(?=: )|^[0-9A-F]{8,}(?=: )", "QUEUE-ID", " ".join(line.split()))
    return re.sub(r" instance=\S+", "", line)
