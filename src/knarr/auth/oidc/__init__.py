"""OpenID Connect: tokens that somebody else signed.

algorithms.py     JOSE signatures (RFC 7518) and keys (RFC 7517)
provider.py       what an issuer publishes: its discovery document and its keys, fetched and kept
verify.py         is this token the issuer's, for us, and valid now?
distributed.py    claims that have to be fetched from elsewhere
mapping.py        from claims to a user, by claim names or CEL expressions
authenticator.py  `OIDCTokens`, the TokenMethod of one issuer
"""
