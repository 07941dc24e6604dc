r"""Recorded policy sessions: what an MTA and a service said to each other, as text that people can read and compare.

A session file looks like this::

    gatepost policy session 1
    # What it is for, and how it was made.

    open

    clock 1795255200

    > request
        request="smtpd_access_policy"
        protocol_state="RCPT"
        sender="bob@example.org"

    < action "DUNNO"

    > close

``open`` begins a connection; a file may hold several, one after the other.
``clock`` is the time from there on, in seconds since 1970. ``>`` is what the MTA
sends, ``<`` what the service sends. ``close`` and ``reset`` are the end of the
connection, by whoever left first (``reset``: with an RST). What is no request or
no answer is ``> raw "octets"`` or ``< raw "octets"``.

Strings hold octets, see :mod:`gatepost.recording.octets`. Empty lines and lines
that begin with ``#`` say nothing.
"""
