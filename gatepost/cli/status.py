"""What the command's exit status means, and what a command ends with that cannot be meant."""

FINE = 0
NOT_IN_ORDER = 1
"""What was asked about is not in order, or could not be done."""
USAGE = 2
"""Wrong arguments; argparse uses the same."""
CONFIGURATION = 78
"""The configuration cannot be used (EX_CONFIG of sysexits.h)."""
INTERRUPTED = 130
"""Stopped with Ctrl-C, as a shell counts it."""
PIPE_CLOSED = 141
"""The output's reader went away, as a shell counts it."""


class UsageError(Exception):
    """What was asked for cannot be meant; the text says why. The exit status is then ``USAGE``."""
