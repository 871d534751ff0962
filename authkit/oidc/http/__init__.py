"""Requests to providers: names, proxies, TLS, and limits of size and time."""
