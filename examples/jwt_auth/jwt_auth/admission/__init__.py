"""Who may log in: the proofs of each way in, and everything that a role or an issuer binds."""
