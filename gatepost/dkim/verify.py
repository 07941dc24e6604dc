"""The verifier (RFC 6376 §6.1): every signature of one message, judged while the message streams by.

Order of work, cheap before dear: the field itself (§6.1.1), then the key from
the DNS (§6.1.2), then the hashes, last the public-key operation (§6.1.3). A
signature that is refused early costs no DNS question and no hash.

Use: make a :class:`Verification` from the header, look up ``key_names`` while
``body`` takes the chunks, then ask for ``results``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from gatepost.dkim.body import BodyDigest, BodyHasher
from gatepost.dkim.canonical import HEADER_CANONICALIZATIONS, HeaderIndex, without_b
from gatepost.dkim.record import KeyProblem, KeyRecord
from gatepost.dkim.result import Cause, SignatureResult, Verdict
from gatepost.dkim.signature import Signature, SignatureError, parse_signature
from gatepost.dns.answer import Answer, Outcome
from gatepost.message import HeaderField, Places, places_of

_FIELD_NAME = b"dkim-signature"
_PKCS1 = PKCS1v15()
_SHA256 = Prehashed(SHA256())

ParseRecord = Callable[[bytes], KeyRecord | KeyProblem]


@dataclass(frozen=True, slots=True)
class Policy:
    """What a verifier accepts (RFC 6376 §6.3, RFC 8301).

    ``clock_drift`` is in seconds. ``accept_partial_body`` lets a signature pass
    whose l= leaves text unsigned. ``must_be_signed`` are field names in lower
    case. ``is_public_suffix`` tells of a domain whether strangers register
    below it: nobody can answer for such a d=.
    """

    max_signatures: int = 10
    min_rsa_bits: int = 1024
    clock_drift: float = 300.0
    accept_partial_body: bool = False
    must_be_signed: tuple[bytes, ...] = (b"from",)
    is_public_suffix: Callable[[str], bool] = lambda domain: "." not in domain


class _RefusedError(Exception):
    """How a signature is settled short of passing."""

    def __init__(self, verdict: Verdict, cause: Cause, reason: str) -> None:
        super().__init__(reason)
        self.verdict, self.cause = verdict, cause


@dataclass(slots=True)
class _Candidate:
    """A signature still in the running: it needs its key, and its body hash."""

    field: HeaderField
    signature: Signature
    body: BodyDigest


class Verification:
    """The signatures of one message.

    ``headers`` is the whole header as it came, ``places`` are those of its
    fields where they are known already; ``now`` is the time in seconds since
    1970. ``count`` is the number of DKIM-Signature fields, of which the topmost
    ``policy.max_signatures`` are judged.
    """

    def __init__(
        self, headers: Sequence[HeaderField], policy: Policy, now: float, places: Places | None = None
    ) -> None:
        self._policy = policy
        self._now = now
        if places is None:
            places = places_of(headers)
        fields = [headers[place] for place in places.get(_FIELD_NAME, ())]
        # With white space in front of the colon, it is none that a signer made.
        fields = [field for field in fields if len(field.name) == len(_FIELD_NAME)]
        self.count = len(fields)
        self._hasher = BodyHasher()
        if not fields:
            return
        self._index = HeaderIndex(headers, places)
        self._settled: list[SignatureResult | _Candidate] = [
            self._admit(field) for field in fields[: policy.max_signatures]
        ]

    @property
    def key_names(self) -> set[str]:
        """The names whose TXT records are needed: those of the signatures that are still in the running."""
        if not self.count:
            return set()
        return {entry.signature.key_name for entry in self._settled if isinstance(entry, _Candidate)}

    @property
    def needs_body(self) -> bool:
        """Whether any signature can still pass, so that the body has to be hashed."""
        return self._hasher.wanted

    def body(self, chunk: bytes) -> None:
        """Take the next octets of the body, cut anywhere."""
        self._hasher.update(chunk)

    def results(self, answers: Mapping[str, Answer], parse_record: ParseRecord) -> list[SignatureResult]:
        """Judge every signature, in the order of the fields; an unsigned message gives an empty list.

        *answers* holds the answer for each of ``key_names``. *parse_record* reads
        a key record (``record.parse_record``, or a cache before it).
        """
        if not self.count:
            return []
        self._hasher.finish()
        return [
            self._judge(entry, answers[entry.signature.key_name], parse_record)
            if isinstance(entry, _Candidate)
            else entry
            for entry in self._settled
        ]

    # -- RFC 6376 §6.1.1: the field itself

    def _admit(self, field: HeaderField) -> SignatureResult | _Candidate:
        try:
            signature = parse_signature(field.value)
        except SignatureError as error:
            return SignatureResult(
                Verdict.PERMERROR,
                Cause.MALFORMED,
                str(error),
                domain=error.domain,
                selector=error.selector,
                algorithm=error.algorithm,
            )
        try:
            self._check(signature)
        except _RefusedError as refusal:
            return _settled(signature, refusal)
        body = self._hasher.digest(signature.body_canonicalization, signature.length)
        return _Candidate(field, signature, body)

    def _check(self, signature: Signature) -> None:
        if signature.algorithm == "rsa-sha1":
            # RFC 8301 §3.1: "rsa-sha1 MUST NOT be used for signing or verifying".
            raise _RefusedError(Verdict.POLICY, Cause.SECURITY, "rsa-sha1 is not secure")
        if self._policy.is_public_suffix(signature.domain):
            # RFC 6376 §6.1.1: such a d= could sign for all who are registered below it.
            raise _RefusedError(Verdict.POLICY, Cause.SECURITY, "d= is a public suffix")
        drift = self._policy.clock_drift
        if signature.expiration is not None and signature.expiration + drift < self._now:
            raise _RefusedError(Verdict.FAIL, Cause.TIME, "signature expired")
        if signature.timestamp is not None and signature.timestamp - drift > self._now:
            raise _RefusedError(Verdict.NEUTRAL, Cause.TIME, "signature is from the future")
        if self._index.count(b"from") > signature.signed.count(b"from"):
            # A reader shows one From; it may be the one that nobody signed (RFC 6376 §8.15).
            raise _RefusedError(Verdict.POLICY, Cause.SECURITY, "a From field is not signed")
        for name in self._policy.must_be_signed:
            if name not in signature.signed and self._index.count(name):
                raise _RefusedError(Verdict.POLICY, Cause.SECURITY, f"{_shown(name)} is not signed")

    # -- §6.1.2: the key; §6.1.3: the computation

    def _judge(self, candidate: _Candidate, answer: Answer, parse_record: ParseRecord) -> SignatureResult:
        signature = candidate.signature
        record: KeyRecord | KeyProblem | None = None
        try:
            record = parse_record(_the_record(answer))
            key = self._usable(record, signature)
            self._verify(candidate, key)
        except _RefusedError as refusal:
            bits = record.bits if isinstance(record, KeyRecord) else 0
            testing = record is not None and record.testing
            return _settled(signature, refusal, bits, testing, answer.authentic)
        return _outcome(signature, Verdict.PASS, Cause.VERIFIED, "", key.bits, key.testing, answer.authentic)

    def _usable(self, record: KeyRecord | KeyProblem, signature: Signature) -> KeyRecord:
        if isinstance(record, KeyProblem):
            cause = Cause.KEY_NOT_FOUND if record.revoked else Cause.MALFORMED
            raise _RefusedError(Verdict.PERMERROR, cause, record.reason)
        if record.algorithm != signature.algorithm:
            raise _RefusedError(Verdict.PERMERROR, Cause.MALFORMED, "key is of another type than a=")
        if record.strict_identity and signature.identity_domain != signature.domain:
            raise _RefusedError(Verdict.PERMERROR, Cause.MALFORMED, "key forbids i= in a subdomain (t=s)")
        if record.algorithm == "rsa-sha256" and record.bits < self._policy.min_rsa_bits:
            # RFC 8301 §3.2: "Verifiers MUST NOT consider signatures using RSA keys of less than 1024 bits".
            raise _RefusedError(Verdict.POLICY, Cause.SECURITY, f"RSA key of {record.bits} bits is too short")
        return record

    def _verify(self, candidate: _Candidate, record: KeyRecord) -> None:
        signature, body = candidate.signature, candidate.body
        if signature.length is not None and signature.length > body.length:
            # §3.5: l= must not be larger than the canonical body.
            raise _RefusedError(Verdict.PERMERROR, Cause.MALFORMED, "body is shorter than l=")
        if body.digest() != signature.body_hash:
            raise _RefusedError(Verdict.FAIL, Cause.MISMATCH, "body altered")
        digest = header_digest(
            self._index, candidate.field, signature.signed, signature.header_canonicalization
        )
        if not holds(record.key, signature.signature, digest):
            raise _RefusedError(Verdict.FAIL, Cause.MISMATCH, "header altered, or signed with another key")
        if (
            signature.length is not None
            and signature.length < body.length
            and not self._policy.accept_partial_body
        ):
            # §8.2: anybody can have added what stands behind l=.
            raise _RefusedError(Verdict.POLICY, Cause.SECURITY, "l= leaves part of the body unsigned")


def header_digest(
    index: HeaderIndex, field: HeaderField, names: Sequence[bytes], canonicalization: str
) -> bytes:
    """SHA-256 over the fields that *names* choose and the signature *field* itself, b= emptied (§3.7)."""
    own = HEADER_CANONICALIZATIONS[canonicalization](HeaderField(field.name, without_b(field.value)))
    parts = index.select(names, canonicalization, field)
    parts.append(own[:-2])
    return hashlib.sha256(b"".join(parts)).digest()


def holds(key: RSAPublicKey | Ed25519PublicKey, signature: bytes, digest: bytes) -> bool:
    """Whether the private half of *key* made *signature* over the SHA-256 *digest* (RFC 8301, 8463 §3)."""
    try:
        if isinstance(key, RSAPublicKey):
            key.verify(signature, digest, _PKCS1, _SHA256)
        else:
            key.verify(signature, digest)
    except InvalidSignature:
        return False
    return True


def _the_record(answer: Answer) -> bytes:
    """The one TXT record of an answer (§6.1.2, §3.6.2.2)."""
    if answer.temporary:
        raise _RefusedError(Verdict.TEMPERROR, Cause.DNS, f"key lookup: {answer.outcome}")
    if answer.outcome is not Outcome.FOUND:
        raise _RefusedError(Verdict.PERMERROR, Cause.KEY_NOT_FOUND, "no key for signature")
    if len(set(answer.records)) > 1:
        raise _RefusedError(Verdict.PERMERROR, Cause.MALFORMED, "several key records")
    record = answer.records[0]
    assert isinstance(record, bytes)
    return record


def _settled(
    signature: Signature,
    refusal: _RefusedError,
    bits: int = 0,
    testing: bool = False,
    authentic: bool = False,
) -> SignatureResult:
    return _outcome(signature, refusal.verdict, refusal.cause, str(refusal), bits, testing, authentic)


def _outcome(
    signature: Signature,
    verdict: Verdict,
    cause: Cause,
    reason: str,
    bits: int,
    testing: bool,
    authentic: bool,
) -> SignatureResult:
    return SignatureResult(
        verdict,
        cause,
        reason,
        domain=signature.domain,
        selector=signature.selector,
        identity=signature.identity,
        algorithm=signature.algorithm,
        start=signature.start,
        key_bits=bits,
        testing=testing,
        authentic=authentic,
    )


def _shown(name: bytes) -> str:
    return name.decode("ascii", "replace").title()
