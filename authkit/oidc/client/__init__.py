"""Clients of OpenID providers: logins in a browser or on a device, renewal, userinfo."""
