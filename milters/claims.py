"""What becomes of the Authentication-Results fields that bear our name, in every milter daemon alike."""

from __future__ import annotations

from collections.abc import Iterable

from gatepost.authres.border import FIELD_NAME, Claim
from gatepost.authres.seal import without_seal
from gatepost.metrics import Metrics
from milters.handler import Change, DeleteHeader, ReplaceHeader


def kept_and_removed(claims: Iterable[Claim], removes_seals: bool, metrics: Metrics) -> list[Change]:
    """Remove what is not believed, and count it; of the rest take the seals off where *removes_seals* says so."""
    changes: list[Change] = []
    for claim in claims:
        if not claim.believed:
            metrics.headers_stripped.inc()
            changes.append(DeleteHeader(FIELD_NAME, claim.index))
        elif removes_seals:
            changes.append(ReplaceHeader(FIELD_NAME, claim.index, without_seal(claim.value).strip()))
    return changes
