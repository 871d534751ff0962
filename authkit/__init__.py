"""authkit: auth methods for HashiCorp Vault and OpenBao, written in Python."""
