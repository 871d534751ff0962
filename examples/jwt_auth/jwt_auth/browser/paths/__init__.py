"""The paths of browser and device logins. What a login does is not here: see `jwt_auth.browser`."""
