"""JWTs: parsing, signatures, claims, and the rules on them. Nothing here asks a provider by itself."""
