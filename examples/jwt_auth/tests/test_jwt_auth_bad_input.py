"""Requests with any values in any field: refused by name or accepted, and never a fault."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jwt_auth.settings.config import JWTConfig
from jwt_auth.settings.issuer import JWTIssuer
from jwt_auth.settings.role import JWTRole
from jwt_auth_keys import make_token, public_pem
from jwt_auth_mounts import GOOD_ROLE, JWTMount

from authkit.errors import CodedError, FieldError, LoginError, PermissionDeniedError, UserError
from authkit.framework import Model
from authkit.logical import JSONNumber

REFUSALS = (FieldError, UserError, LoginError, CodedError, PermissionDeniedError)

scalars = st.sampled_from(
    [
        *(
            None,
            True,
            False,
            0,
            -1,
            5,
            2**63,
            10**30,
            JSONNumber("1e3"),
            JSONNumber("1e999"),
            JSONNumber("5.5"),
        ),
        *("", " ", "x", "a,b", "1h", "-1s", "\x00", "é", "{a}:{b}", "{", "/a/b", "*", "x" * 5000),
        *("jwt", "oidc", "glob", "string", "RS256", "none", "default", "batch", "root", "10.0.0.0/8", "::1"),
        *(
            "http://127.0.0.1:1/x",
            "ftp://x",
            "http://[",
            "azure",
            "gsuite",
            "okta",
            "kubernetes",
            public_pem(),
        ),
    ]
)
nested = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["", "a", "/a", "role", "provider", "jwks_url", "jwks_ca_pem"]), inner
        )
    ),
    max_leaves=5,
)
KEYS = {"jwt_validation_pubkeys": public_pem()}


def bodies(model: type[Model], **good: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Return requests with a few odd values among good ones: a single odd one gets far."""
    odd = st.dictionaries(st.sampled_from(sorted(model.schema)), scalars | nested, min_size=1, max_size=2)
    return odd.map(lambda fields: good | fields)


def requests() -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """Return paths and bodies."""
    return st.one_of(
        st.tuples(st.just("config"), bodies(JWTConfig, **KEYS)),
        st.tuples(st.just("role/dev"), bodies(JWTRole, **GOOD_ROLE)),
        st.tuples(st.just("issuer/x"), bodies(JWTIssuer, **KEYS, bound_issuer="x")),
        st.tuples(st.just("explain"), st.fixed_dictionaries({"role": scalars, "jwt": scalars})),
        st.tuples(st.just("oidc/auth_url"), st.fixed_dictionaries({"role": scalars})),
    )


@settings(
    deadline=None,
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(st.lists(requests(), min_size=1, max_size=4))
async def test_any_values(mount: JWTMount, writes: list[tuple[str, dict[str, Any]]]) -> None:
    """Whatever is written: what is stored can be read, and a login is allowed or denied."""
    for path in ("role/dev", "issuer/x"):
        await mount.delete(path)
    await mount.configure()
    await mount.write_role()
    for path, body in writes:
        with contextlib.suppress(*REFUSALS):
            await mount.write(path, body)
    for path in ("config", "role/dev", "issuer/x", "status"):
        await mount.read(path)
    with contextlib.suppress(*REFUSALS):
        await mount.login(role="dev", jwt=make_token())


@pytest.mark.parametrize("value", [None, True, 5, 10**30, [], ["x"], {}, {"a": "b"}, "", "x", "x" * 100_000])
@pytest.mark.parametrize("field", ["role", "jwt", "distributed_claim_access_token"])
async def test_any_values_in_a_login(mount: JWTMount, field: str, value: Any) -> None:
    """Only the right role with the right token logs in."""
    body = {"role": "dev", "jwt": make_token()} | {field: value}
    try:
        auth = await mount.login(**body)
    except REFUSALS:
        return
    assert field == "distributed_claim_access_token"
    assert auth.policies == ("p",)
