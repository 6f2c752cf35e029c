//! Public keys: parsing and judging them, for account keys (JWK) and certificate requests alike. Never a private key.
