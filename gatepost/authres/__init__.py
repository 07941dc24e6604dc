"""Authentication-Results (RFC 8601): write, read, strip and seal."""
