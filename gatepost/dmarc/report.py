"""A DMARC evaluation as Authentication-Results states it (§9.1, §9.2)."""

from __future__ import annotations

from gatepost.authres.result import Property, Result
from gatepost.dmarc.evaluate import Evaluation, Verdict


def authres_result(evaluation: Evaluation, disposition: str) -> Result:
    """The result, with what the owner publishes and what was done: ``dmarc=fail (p=reject dis=quarantine) …``.

    *disposition* is none, quarantine or reject. Readers such as SpamAssassin
    and the guides' rules take the policy from the comment.
    """
    properties = []
    if evaluation.domain:
        properties.append(Property("header", "from", evaluation.domain))
    comment = ""
    if evaluation.record is not None:
        record = evaluation.record
        published = [("p", record.policy), ("sp", record.subdomain_policy), ("np", record.nonexistent_policy)]
        words = [f"{name}={policy}" for name, policy in published if policy is not None]
        comment = " ".join([*words, f"dis={disposition}"])
        if evaluation.verdict is Verdict.FAIL:
            properties.append(Property("policy", "dmarc", evaluation.applied))
    reason = evaluation.reason if evaluation.verdict in (Verdict.TEMPERROR, Verdict.PERMERROR) else ""
    return Result("dmarc", evaluation.verdict, tuple(properties), reason, comment)
