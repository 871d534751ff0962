"""A process that a go-plugin host runs: handshake, mutual TLS, broker, logs, shutdown.

Knows no word of Vault. The names are imported from the modules themselves, so that refusing a wrong
cookie costs no imports.
"""
