"""Recorded sessions, whatever the protocol: listened to, written down, kept, and compared when played again.

What a protocol says of itself is in ``milters.recording`` and ``policy.recording``.
"""
