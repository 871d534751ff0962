"""What lookups at a particular provider have in common: what they are told, and what they may do.

Each provider is one small class in a module beside this one. Which of them is asked, and when, is
left to the auth method.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from authkit.errors import LoginError
from authkit.masking import Secret
from authkit.oidc.http.urls import path_segment
from authkit.oidc.jsontext import quote
from authkit.oidc.tokens.claims import get_claim
from authkit.oidc.tokens.registered_claims import Claims
from authkit.values import Value

if TYPE_CHECKING:
    import httpx

__all__ = ["NO_FIELDS", "GroupsProvider", "Lookup", "Provider", "UserInfoProvider", "get_setting"]

T = TypeVar("T")

NO_FIELDS: Mapping[str, Any] = MappingProxyType({})
"""A configuration of which nothing else is known."""

_GO_NAMES: Mapping[type, str] = {
    bool: "bool",
    str: "string",
    int: "int",
    float: "float64",
    dict: "map",
    list: "slice",
}


class Lookup(Value, frozen=True):
    """Of whom something is to be found out. Set by the login."""

    claims: Claims
    """Those of the verified token."""
    user_claim: str
    """The role's: which claim names the user, a pointer if it begins with `/`."""
    groups_claim: str = ""
    """The role's: which claim holds groups."""
    access_token: Secret | None = None
    """What the caller brought to ask the provider with; `None` or empty without one."""
    is_same_user: bool = False
    """Whether that token is known to be the user's own, as when both came from one code exchange."""

    def user_key(self, reserved: Collection[str] = ()) -> str:
        """Return what names the user: a text that no server takes for more than a name.

        Args:
            reserved: words that mean somebody else at the provider, see `path_segment`.

        Raises:
            LoginError: the claim is missing, no string, or cannot be such a name.
        """
        value = get_claim(self.claims, self.user_claim)
        if value is None:
            raise LoginError(f"unable to locate {quote(self.user_claim)} in claims")
        if not isinstance(value, str):
            raise LoginError(f"claim {quote(self.user_claim)} could not be converted to string")
        try:
            path_segment(value, reserved=reserved)
        except ValueError as error:
            raise LoginError(f"claim {quote(self.user_claim)} cannot name a user: {error}") from error
        return value


@runtime_checkable
class Provider(Protocol):
    """Lookups at one kind of identity provider.

    Args:
        settings: what an operator wrote as `provider_config`.
        fields: the other fields of the configuration.
        transport: what to send requests with, in place of the network.

    Raises:
        ValueError: the settings do not fit; the text holds none of them that is secret.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        *,
        fields: Mapping[str, Any] = NO_FIELDS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None: ...


@runtime_checkable
class GroupsProvider(Protocol):
    """A provider that knows groups."""

    async def fetch_groups(self, lookup: Lookup) -> Any:
        """Return what the groups claim is to hold; `None` for no value.

        Raises:
            LoginError: they cannot be had. The text needs the prefix `failed to fetch groups: `.
        """
        ...


@runtime_checkable
class UserInfoProvider(Protocol):
    """A provider that knows more of a user."""

    async def fetch_user_info(self, lookup: Lookup) -> Mapping[str, Any]:
        """Return claims to add to those of the token.

        Raises:
            LoginError: they cannot be had.
        """
        ...


def get_setting(settings: Mapping[str, Any], name: str, default: T) -> T:
    """Return the setting, `default` without one; it is of the same type.

    Raises:
        ValueError: it is not. The text begins as that of vault-plugin-auth-jwt 0.26 and leaves out the value.
    """
    value = settings.get(name)
    if value is None:
        return default
    # `bool` is a kind of `int` in Python; numbers may arrive as floats.
    if type(default) is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not type(default):
        expected, got = (_GO_NAMES.get(kind, kind.__name__) for kind in (type(default), type(value)))
        raise ValueError(
            f"1 error(s) decoding:\n\n* '{name}' expected type '{expected}', got unconvertible type '{got}'"
        )
    return value
