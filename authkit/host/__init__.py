"""The other side: what a Vault server does with a plugin, in Python."""
