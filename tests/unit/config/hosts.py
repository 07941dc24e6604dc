"""A host that is the same on every machine."""

from gatepost.config.host import Host

HOST = Host(
    name=lambda: "mx.example.nl",
    user_exists=lambda name: name == "postfix",
    group_exists=lambda name: name == "postfix",
    has_pymilter=lambda: False,
)
