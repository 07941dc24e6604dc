"""Everything milter: the protocol, two engines that speak it, and one short file a daemon."""
