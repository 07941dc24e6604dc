"""Postfix beside us: what its configuration should hold for ours, and what the one that is there makes of it.

Pure but for ``running`` and ``reach``, which ask Postfix and the file system.
"""
