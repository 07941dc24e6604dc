"""Everything policy delegation: the protocol, its server, and one short file a service."""
