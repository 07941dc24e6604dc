"""Two ways of writing one address of the envelope."""

from __future__ import annotations

import time

import pytest

from gatepost.address.envelope import internal_form


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        (b"anna@example.nl", b"anna@example.nl"),
        (b"", b""),
        (b'"an na"@example.nl', b"an na@example.nl"),
        (b'"a\\"b"@example.nl', b'a"b@example.nl'),
        (b'"a\\\\"@example.nl', b"a\\@example.nl"),
        (b'"anna@bank.example"@example.nl', b"anna@bank.example@example.nl"),
        (b'""@example.nl', b"@example.nl"),
        # Whatever is no quoted local part stays as it is.
        (b'"anna@example.nl', b'"anna@example.nl'),
        (b'"anna\\"@example.nl', b'"anna\\"@example.nl'),
        (b'"a"b"@example.nl', b'"a"b"@example.nl'),
        (b'"anna"@bank.example@example.nl', b'"anna"@bank.example@example.nl'),
        (b'"a\\', b'"a\\'),
    ],
)
def test_internal_form(path: bytes, meant: bytes) -> None:
    assert internal_form(path) == meant


@pytest.mark.parametrize("piece", [b"a", b"\\a", b'\\"', b"@"])
def test_takes_linear_time(piece: bytes) -> None:
    started = time.process_time()
    internal_form(b'"' + piece * 200_000)
    assert time.process_time() - started < 0.5
