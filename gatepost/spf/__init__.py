"""SPF (RFC 7208): whether a client may send mail in the name of a domain. The package pyspf decides."""
