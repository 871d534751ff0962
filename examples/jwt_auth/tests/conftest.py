"""A mount of the method, and an identity provider that it can ask."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from identity_provider import Provider, serve_provider
from jwt_auth import JWTAuth
from jwt_auth_keys import public_jwk
from jwt_auth_mounts import JWTMount
from test_jwt_auth_browser import browser, clock, idp

__all__ = ["browser", "clock", "idp"]


@pytest.fixture
async def bare() -> AsyncIterator[JWTMount]:
    """A mount that nobody has configured."""
    mount = JWTMount(JWTAuth)
    await mount.backend.initialize()
    yield mount
    await mount.backend.cleanup()


@pytest.fixture
async def mount(bare: JWTMount) -> JWTMount:
    """A mount with a static key and the role `dev`."""
    await bare.configure()
    await bare.write_role()
    return bare


@pytest.fixture
def provider() -> Iterator[Provider]:
    """An identity provider with the key `first`."""
    with serve_provider(public_jwk("first")) as provider:
        yield provider
