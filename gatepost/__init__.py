"""gatepost: mail authentication for Postfix, one small daemon a job.

This package is what every daemon shares. The daemons themselves stand in
``milters`` and ``policy``; nothing here imports from there, the command line
excepted, which starts them.
"""

__version__ = "0.1.0"
