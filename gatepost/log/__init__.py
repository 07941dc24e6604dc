"""One line a thing that happened, to standard error.

``text`` is what Postfix's own log looks like: the queue id, then ``key=value``.
``json`` is one object a line. Under systemd each line begins with its priority
(``<6>``) and the journal adds time and process; elsewhere the line brings both.

Values may come from strangers. Nothing they hold can end a line, begin a
field or reach the terminal: what is not printable is written as an escape,
values with spaces or quotes are quoted, and each is cut at 200 characters.

A line is one ``write`` of at most ``PIPE_BUF`` octets. A reader that does not
keep up costs lines, never time: they are dropped and counted, and the next
line that goes through is preceded by one that tells how many were lost.
"""

from gatepost.log.libraries import adopt_libraries
from gatepost.log.logger import Format, Level, Logger

__all__ = ["Format", "Level", "Logger", "adopt_libraries"]
