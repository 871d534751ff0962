"""What a login asks for: a client of this mount, and this mount of the provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authkit import Value
from jwt_auth.browser.pending import Pending
from jwt_auth.browser.poll_intervals import DEFAULT_SECONDS
from jwt_auth.settings.config import JWTConfig
from jwt_auth.settings.role import JWTRole

if TYPE_CHECKING:
    from authkit.oidc import AuthorizationRequest

__all__ = ["LoginRequest", "authorization_request", "requested_scopes", "show_poll_interval"]


class LoginRequest(Value, frozen=True, kw_only=True):
    """What a client asks for when a login begins."""

    redirect_uri: str
    client_nonce: str
    address: str
    """Where it asks from, empty when the host does not say."""


def authorization_request(
    pending: Pending, config: JWTConfig, role: JWTRole, *, state: str
) -> AuthorizationRequest:
    """Return what the provider is asked for, with the state that a browser carries."""
    from authkit.oidc import AuthorizationRequest

    return AuthorizationRequest(
        redirect_uri=pending.redirect_uri,
        state=state,
        nonce=pending.nonce,
        verifier=pending.verifier,
        scopes=requested_scopes(role),
        audiences=tuple(role.token_bounds["audiences"]),
        max_age=int(role.max_age.total_seconds()),
        created=pending.created,
        response_types=tuple(config.oidc_response_types) or ("code",),
        response_mode=config.oidc_response_mode,
    )


def requested_scopes(role: JWTRole) -> tuple[str, ...]:
    """Return the scopes that the provider is asked for besides `openid`."""
    return tuple(role.oidc_scopes or ())


def show_poll_interval(role: JWTRole, of_provider: int) -> str:
    """Return how long a client waits before it asks again, in seconds. Clients want a text."""
    return str(int(role.poll_interval.total_seconds()) or of_provider or DEFAULT_SECONDS)
