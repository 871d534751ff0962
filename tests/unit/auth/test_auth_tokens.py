"""Token parameters: fields, checks, shapes, and the login that they make."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from authkit.auth import Identity, Role, TokenParameters
from authkit.auth.tokens import make_auth
from authkit.errors import FieldError, LoginError, UserError
from authkit.framework import CommaList, Seconds, field
from authkit.logical import TokenType

READ_SHAPE = {
    "token_bound_cidrs": [],
    "token_explicit_max_ttl": 0,
    "token_max_ttl": 0,
    "token_no_default_policy": False,
    "token_num_uses": 0,
    "token_period": 0,
    "token_policies": [],
    "token_ttl": 0,
    "token_type": "default",
}


def test_read_shape() -> None:
    """A role that nobody configured reads as it does with other auth methods."""
    assert Role().read_shape() == READ_SHAPE


def test_values_in_requests() -> None:
    """Durations become seconds, lists are split, an address loses its full prefix length."""
    shape = Role(
        token_bound_cidrs="10.0.0.1/32,10.0.0.0/8",
        token_ttl="1h",
        token_max_ttl=7200,
        token_policies="B, a,,default",
        token_type="service",
        token_num_uses="3",
    ).read_shape()
    assert shape == READ_SHAPE | {
        "token_bound_cidrs": ["10.0.0.1", "10.0.0.0/8"],
        "token_ttl": 3600,
        "token_max_ttl": 7200,
        "token_policies": ["B", "a", "", "default"],
        "token_type": "service",
        "token_num_uses": 3,
    }


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("", "default"),
        ("default", "default"),
        ("service", "service"),
        ("batch", "batch"),
        ("default-service", "default-service"),
        ("default-batch", "default-batch"),
        (None, "default"),
    ],
)
def test_token_types(given: str | None, shown: str) -> None:
    """Every name that hosts show is accepted, the advertised default included."""
    role = Role(token_type=given)
    assert role.read_shape()["token_type"] == shown
    assert Role.from_stored(role.to_stored()) == role


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"token_bound_cidrs": "x"}, 'error parsing address "x": Unable to convert "x" to an IPv4'),
        ({"token_type": "odd"}, "invalid 'token_type' value \"odd\""),
        ({"token_type": 1}, "invalid 'token_type' value \"1\""),
        ({"token_num_uses": -1}, "'token_num_uses' cannot be negative"),
        (
            {"token_type": "batch", "token_period": 1},
            "'token_type' cannot be 'batch' or 'default_batch' when set to generate periodic tokens",
        ),
        (
            {"token_type": "default-batch", "token_num_uses": 1},
            "'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens with limited use",
        ),
        ({"token_ttl": 2, "token_max_ttl": 1}, "'token_ttl' cannot be greater than 'token_max_ttl'"),
    ],
)
def test_contradictions(fields: dict[str, Any], text: str) -> None:
    """What contradicts itself is refused in the words of other auth methods."""
    with pytest.raises(UserError) as caught:
        Role(**fields).verify()
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("name", ["token_ttl", "token_max_ttl", "token_period", "token_explicit_max_ttl"])
def test_negative_durations(name: str) -> None:
    """A negative duration is refused by the field."""
    with pytest.raises(FieldError, match="cannot provide negative value"):
        Role(**{name: -5})


class OldRole(Role):
    """A role that still takes older names."""

    ttl: Seconds = field(alias_of="token_ttl")
    policies: CommaList = field(alias_of="token_policies")


def test_older_names() -> None:
    """Older names stand for the token fields, lose beside them, and are never shown."""
    role = OldRole.overlaid(None, {"ttl": timedelta(seconds=5), "policies": ("a",)})
    assert (role.token_ttl, role.token_policies) == (timedelta(seconds=5), ("a",))
    role = OldRole.overlaid(role, {"policies": ("b",), "token_policies": ("c",)})
    assert (role.token_ttl, role.policies) == (timedelta(seconds=5), ("c",))
    assert role.read_shape().keys() == READ_SHAPE.keys()


def test_make_auth() -> None:
    """Everything of role and identity is in the login; policies are added, not replaced."""
    role = Role(
        token_bound_cidrs="10.0.0.0/8",
        token_ttl=60,
        token_max_ttl=120,
        token_explicit_max_ttl=180,
        token_period=240,
        token_policies="a,b",
        token_type="service",
        token_num_uses=3,
        token_no_default_policy=True,
    )
    identity = Identity(
        name="ann",
        groups=["g", "h", "g"],
        alias_metadata={"k": "v"},
        metadata={"m": "n"},
        policies=["b", "c"],
        state={"x": 1},
    )
    auth = make_auth(identity, role, "dev")
    assert auth.alias is not None
    assert (auth.alias.name, auth.alias.metadata) == ("ann", {"k": "v"})
    assert [alias.name for alias in auth.group_aliases] == ["g", "h"]
    assert auth.policies == ("a", "b", "c")
    assert auth.metadata == {"m": "n"}
    assert auth.display_name == "ann"
    assert auth.internal_data == {"role": "dev", "state": {"x": 1}}
    assert auth.lease.ttl == timedelta(seconds=60)
    assert auth.lease.max_ttl == timedelta(seconds=120)
    assert auth.lease.renewable
    assert auth.explicit_max_ttl == timedelta(seconds=180)
    assert auth.period == timedelta(seconds=240)
    assert auth.bound_cidrs == ("10.0.0.0/8",)
    assert auth.token_type is TokenType.SERVICE
    assert auth.num_uses == 3
    assert auth.no_default_policy
    assert (auth.client_token, auth.accessor, auth.entity_id) == ("", "", "")


def test_an_identity_may_bring_its_own_settings() -> None:
    """Its token parameters stand in place of the role's; anonymous tokens have no alias."""
    identity = Identity(anonymous=True, display_name="x", token=TokenParameters(token_ttl=5))
    auth = make_auth(identity, Role(token_ttl=9, token_policies="a"), "dev")
    assert (auth.alias, auth.display_name, auth.lease.ttl) == (None, "x", timedelta(seconds=5))
    assert auth.policies == ()


def test_a_role_cannot_give_root() -> None:
    """Policies of the role are checked together with those of the identity."""
    with pytest.raises(LoginError, match="cannot create root tokens"):
        make_auth(Identity(name="a"), Role(token_policies="x, ROOT "), "dev")
