"""The whole configuration, as the loader (``load``) makes it from YAML.

What daemons share stands in ``sections``, what one kind has in a module of
its own.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, get_args

from pydantic import Field

from gatepost.config.dkim_settings import DkimSign, DkimVerify
from gatepost.config.dmarc_settings import Dmarc
from gatepost.config.greylist_settings import Greylist
from gatepost.config.sections import Daemon, Dns, Log, Section
from gatepost.config.spf_settings import Spf
from gatepost.config.types import AuthservId, Duration, FilePath, Network

AnyDaemon = DkimVerify | DkimSign | Dmarc | Spf | Greylist
"""Every kind of daemon there is; a new one is added here, and nowhere else."""

KINDS: dict[str, type[Daemon]] = {
    get_args(model.model_fields["kind"].annotation)[0]: model for model in get_args(AnyDaemon)
}
"""The kinds by name."""


class Config(Section):
    """The whole file."""

    authserv_id: AuthservId
    """The name under which results are written, and believed (RFC 8601 §2.5); none given: this host's
    name."""
    authserv_aliases: list[AuthservId] = []
    """Other names that are ours: fields that bear them are removed too."""
    trusted_networks: list[Network] = [IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")]
    """Clients that are ourselves: not verified, signed for, and believed when they bring sealed results."""
    believe_unsealed_from: list[Network] = []
    """Clients whose unsealed Authentication-Results under our name are believed. For a migration only."""
    seal_secret: FilePath = Path("/var/lib/gatepost/seal.key")
    """The secret under which results are sealed. Made at the first start. The same on all hosts of a pipeline."""
    seal_validity: Duration = 3600.0
    """How long a sealed result is good."""
    user: str | None = None
    """``user`` of all daemons that name none."""
    group: str | None = None
    """``group`` of all daemons that name none."""
    dns: Dns = Dns()
    log: Log = Log()
    daemons: dict[str, Annotated[AnyDaemon, Field(discriminator="kind")]] = Field(min_length=1)
    """The daemons by name. A daemon's kind is its name, unless ``kind`` says otherwise."""
