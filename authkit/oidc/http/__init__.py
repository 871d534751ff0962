"""Requests to a provider: proxies, names, TLS, and limits. What an answer means is for the other rooms."""
