"""Parsers and dialogues under octets that nobody would send: one module a target, each with what has to hold.

A target is a module of :mod:`tests.fuzz.targets` with

- a docstring that states its invariants,
- ``check(data)``, which raises whatever it raises where one of them is broken,
- ``SEEDS``, inputs to begin with, and ``WORDS``, pieces that a mutation may well put in.

``script/fuzz`` runs them under atheris; what it found worth keeping is in
``corpus/TARGET/``, and the tests replay it without atheris (``test_corpora``).
"""
