"""DomainKeys Identified Mail (RFC 6376, 8301, 8463, 8616): verify and sign, while the message streams by.

A signature covers chosen header fields and the body. The header is at hand as a
whole; the body is canonicalised and hashed chunk by chunk and never kept.

Reading order: ``taglist`` and ``signature`` (the DKIM-Signature field),
``record`` (the public key in the DNS), ``canonical`` and ``body`` (what is
hashed), then ``verify`` and ``sign``. All of it is pure: keys, answers of the
DNS and the time are passed in.
"""
