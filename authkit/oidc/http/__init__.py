"""Requests to a provider: proxies, names, TLS, limits. Their meaning: `authkit.oidc.keys`, `.client`."""
