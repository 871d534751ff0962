"""The client at a provider: browser and device logins, token requests, userinfo."""
