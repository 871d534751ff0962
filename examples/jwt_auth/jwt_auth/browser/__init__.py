"""Logins at the provider, in a browser or on a device: paths, pages, what is kept in between, renewals."""
