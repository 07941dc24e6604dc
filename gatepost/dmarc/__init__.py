"""DMARC (RFC 9989; RFC 7489 where asked for): does the author's domain vouch for this message, and if not, what then?

Reading order: ``record`` (what a domain publishes), ``walk`` (where its record
and its organizational domain are found), ``evaluate`` (alignment and policy).
Evaluation is a generator that yields DNS questions and takes their answers: it
knows no resolver, and is the same for a daemon and for the command line.
Section numbers are those of RFC 9989 unless another RFC is named.
"""
