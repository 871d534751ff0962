"""One request in, one answer out, as a Vault server does it."""
