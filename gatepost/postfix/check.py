"""What is to be said about a Postfix that stands before our daemons."""

from __future__ import annotations

from gatepost.config.settings import Config
from gatepost.postfix.check_milters import check_milters
from gatepost.postfix.check_outgoing import check_outgoing
from gatepost.postfix.check_policies import check_policies
from gatepost.postfix.check_settings import check_settings
from gatepost.postfix.check_sockets import Look, check_sockets
from gatepost.postfix.finding import Finding, Level
from gatepost.postfix.instance import Instance
from gatepost.postfix.pipeline import Pipeline
from gatepost.postfix.port import ports as ports_of
from gatepost.postfix.roster import Roster

_GRAVITY = {level: place for place, level in enumerate(Level)}


def check(instance: Instance, config: Config, look: Look | None = None) -> list[Finding]:
    """All findings about *instance* with *config*, errors first; each once.

    *look* says what keeps Postfix from a unix socket, on the host where both are.
    """
    roster = Roster(config)
    ports = ports_of(instance, roster)
    pipeline = Pipeline(instance, roster, ports)
    found = [
        *check_sockets(instance, roster, ports, look),
        *check_milters(pipeline, ports),
        *check_outgoing(pipeline),
        *check_policies(instance, roster, ports),
        *check_settings(instance, roster, ports),
    ]
    return sorted(dict.fromkeys(found), key=lambda finding: _GRAVITY[finding.level])
