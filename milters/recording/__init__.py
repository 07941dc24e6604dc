r"""Recorded milter sessions: what an MTA and a daemon said to each other, as text that people can read and compare.

A session file looks like this::

    gatepost session 1
    # What it is for, and how it was made.

    open

    > OPTNEG 6
        actions ADDHDRS CHGHDRS
        steps NOHELO NR_HDR HDR_LEADSPC

    < OPTNEG 6
        actions ADDHDRS
        steps NR_HDR HDR_LEADSPC
        macros EOM "i"

    > MACRO MAIL {auth_authen}="anna@example.nl"
    + MAIL "<anna@example.nl>" "SIZE=100"

    > HEADER "From" " Anna <anna@example.nl>"
    + EOH
    + BODY
        "Hello.\r\n"
        "Still here.\r\n" * 20
    + BODYEOB

    < INSHEADER 0 "Authentication-Results" " mail.example.nl; none"
    + ACCEPT

    > QUIT

    > close

``open`` begins a connection; a file may hold several, one after the other.
``>`` is what the MTA sends, ``<`` what the daemon sends, and ``+`` what its
sender wrote together with the packet above. ``close`` and ``reset`` are the end
of the connection, by whoever left first (``reset``: with an RST). Commands,
flags and stages have the names of libmilter's ``mfdef.h``, without prefix.

Indented lines continue the one above; a string at the beginning of one
continues the last string. Strings hold octets, see :mod:`gatepost.recording.octets`. Empty lines
and lines that begin with ``#`` say nothing. Also possible are::

    > BODY generated 20971520 octets seed 7 from 0 to 65535
    > HELO payload "what is no proper payload"
    > 0x7a payload "a command that has no name"
    > raw "what is no packet"

the first of which is a chunk of a body of generated text (see
:mod:`.generated`).
"""
