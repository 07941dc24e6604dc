"""What is relied on of pyspf beyond its results: a release that changes it has to be looked at first."""

from __future__ import annotations

import inspect
from ipaddress import IPv4Address

import pytest
import spf

from gatepost.spf.identity import Sender
from gatepost.spf.query import Query
from gatepost.spf.result import Identity
from gatepost.spf.subject import Subject

SUBJECT = Subject(
    IPv4Address("192.0.2.1"), Sender(Identity.MAIL_FROM, "bob", "example.org", "mx.example.org")
)

# Ours alone: pyspf knows nothing of them.
OWN = {"explained"}


def parameters(function: object) -> list[str]:
    assert callable(function)
    return list(inspect.signature(function).parameters)


OVERRIDDEN = [name for name, value in vars(Query).items() if inspect.isfunction(value) and name[0] != "_"]


@pytest.mark.parametrize("name", sorted(set(OVERRIDDEN) - OWN))
def test_what_is_done_here_instead_is_what_pyspf_would_do(name: str) -> None:
    """A method that pyspf calls by another name, or with more, would be done by pyspf again, without our bounds."""
    theirs, ours = parameters(getattr(spf.query, name)), parameters(getattr(Query, name))
    assert len(ours) == len(theirs)


def test_a_query_has_all_that_pyspfs_constructor_makes() -> None:
    theirs = set(vars(spf.query("192.0.2.1", "bob@example.org", "mx.example.org")))
    ours = Query(SUBJECT, lambda _name, _type: None, None)
    # One is for those who list what a record permits, in a method that is done here instead; the others are
    # macro letters, which the subject tells.
    assert {name for name in theirs if not hasattr(ours, name)} == {"iplist", *"slhrtci"}


def test_one_querys_state_is_not_anothers() -> None:
    """The values that all begin with are shared: pyspf changes none of those that can be changed."""
    first, second = (Query(SUBJECT, lambda _name, _type: None, None) for _ in range(2))
    shared = {
        name
        for name, value in vars(first).items()
        if isinstance(value, dict | list | set) and value is vars(second).get(name)
    }
    assert shared == {"cache", "defexps"}
    assert (first.cache, first.defexps) == ({}, spf.EXPLANATIONS)


def test_limits() -> None:
    """RFC 7208 section 4.6.4."""
    assert (spf.MAX_LOOKUP, spf.MAX_MX, spf.MAX_PTR) == (10, 10, 10)
    assert (spf.DELEGATE, spf.query("192.0.2.1", "a@b.example", "").strict) == (None, True)
