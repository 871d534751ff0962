"""The configuration of the JWT method."""

from __future__ import annotations

from typing import Any

import pytest
from identity_provider import Provider
from jwt_auth_keys import make_token, public_pem
from jwt_auth_mounts import JWTMount

from authkit.errors import UnsupportedOperationError, UserError

NO_SOURCE = (
    "exactly one of 'jwt_validation_pubkeys', 'jwks_url', 'jwks_pairs' or 'oidc_discovery_url' must be set"
)
DEFAULTS = {
    "oidc_discovery_url": "",
    "oidc_discovery_ca_pem": "",
    "oidc_client_id": "",
    "oidc_client_authentication": "",
    "oidc_response_mode": "",
    "oidc_response_types": [],
    "default_role": "",
    "jwt_validation_pubkeys": [],
    "jwt_supported_algs": [],
    "jwks_url": "",
    "jwks_pairs": [],
    "jwks_ca_pem": "",
    "bound_issuer": "",
    "provider_config": {},
    "namespace_in_state": True,
    "unsupported_critical_cert_extensions": [],
}


async def test_read_and_replace(bare: JWTMount, provider: Provider) -> None:
    """A write replaces the whole configuration but for one field; a read shows what was written."""
    assert await bare.read("config") is None
    pem = public_pem().strip()
    fields = {"jwt_validation_pubkeys": [pem], "default_role": "Dev", "namespace_in_state": False}
    assert await bare.write("config", fields) is None
    assert await bare.read("config") == DEFAULTS | fields | {"default_role": "dev"}
    await bare.write("config", jwks_url=provider.keys_url, bound_issuer="x")
    kept = {"namespace_in_state": False}
    assert await bare.read("config") == DEFAULTS | kept | {"jwks_url": provider.keys_url, "bound_issuer": "x"}


async def test_secrets_are_not_shown(bare: JWTMount, provider: Provider) -> None:
    """Neither the client's nor the provider's; both are stored."""
    lookups = {"provider": "okta", "api_token": "wL3mB6tTqkzR", "org_url": "https://okta.test"}
    client = {"oidc_client_id": "id", "oidc_client_secret": "9pGm2VxQ"}
    await bare.write("config", oidc_discovery_url=provider.url, provider_config=lookups, **client)
    found = await bare.read("config")
    assert found is not None
    assert "oidc_client_secret" not in found
    assert found["provider_config"] == {"provider": "okta", "org_url": "https://okta.test"}
    entry = await bare.storage.get("config")
    assert entry is not None
    assert b"9pGm2VxQ" in entry.value
    assert b"wL3mB6tTqkzR" in entry.value


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, NO_SOURCE),
        ({"bound_issuer": "x"}, NO_SOURCE),
        ({"jwks_url": "{url}/keys", "jwt_validation_pubkeys": "x"}, NO_SOURCE),
        ({"jwks_pairs": [{"jwks_url": "x"}], "oidc_discovery_url": "x"}, NO_SOURCE),
        ({"oidc_client_id": "x"}, "both 'oidc_client_id' and 'oidc_client_secret' must be set for OIDC"),
        ({"oidc_client_secret": "long"}, "both 'oidc_client_id' and 'oidc_client_secret' must be set"),
        (
            {"oidc_client_id": "x", "oidc_client_secret": "wL3mB6"},
            "'oidc_discovery_url' must be set for OIDC",
        ),
        ({"oidc_discovery_url": "{url}/"}, "error checking oidc discovery URL"),
        ({"oidc_discovery_url": "{url}/other"}, "error checking oidc discovery URL"),
        ({"oidc_discovery_url": "{url}/missing"}, "error checking oidc discovery URL"),
        ({"oidc_discovery_url": "ftp://x"}, "error checking oidc discovery URL"),
        ({"oidc_discovery_url": "{url}", "oidc_discovery_ca_pem": "x"}, "error checking oidc discovery URL"),
        (
            {"jwks_pairs": [{"jwks_url": "x"}], "jwks_ca_pem": "x"},
            "CA PEMs must be provided as part of the 'jwks_pairs' when using multiple JWKS URLs",
        ),
        (
            {"jwks_pairs": [{"jwks_url": "x"}], "bound_issuer": "x"},
            "Bound issuer is not supported for use with 'jwks_pairs'",
        ),
        (
            {"jwks_pairs": ["x"]},
            "invalid jwks_pairs: jwks_pairs must be provided as a list of json objects with the fields",
        ),
        ({"jwks_pairs": [{"jwks_url": 5}]}, "invalid jwks_pairs"),
        ({"jwks_pairs": [{"jwks_url": "{url}/broken"}]}, "error checking jwks URL {url}/broken"),
        ({"jwks_pairs": [{}]}, "error checking jwks URL "),
        ({"jwks_url": "{url}/broken"}, "error checking jwks URL {url}/broken"),
        ({"jwks_url": "{url}/html"}, "error checking jwks URL {url}/html"),
        ({"jwks_url": "ftp://x"}, "error checking jwks URL ftp://x"),
        ({"jwks_url": "{url}/keys", "jwks_ca_pem": "x"}, "error checking jwks_ca_pem"),
        (
            {"jwt_validation_pubkeys": "x"},
            "error parsing public key: data does not contain any valid public keys",
        ),
        (
            {"jwt_validation_pubkeys": ["{pem}{pem}"]},
            "error parsing public key: unexpected trailing data after parsed PEM block",
        ),
        (
            {"jwt_validation_pubkeys": "{pem}", "jwt_supported_algs": "RS256,none"},
            'invalid jwt_supported_algs: unsupported signing algorithm "none"',
        ),
        ({"jwt_validation_pubkeys": "{pem}", "jwt_supported_algs": "HS256"}, "invalid jwt_supported_algs"),
        (
            {"jwt_validation_pubkeys": "{pem}", "oidc_response_types": "code,token"},
            "invalid response_types [code token]. 'code' and 'id_token' are allowed",
        ),
        (
            {"jwt_validation_pubkeys": "{pem}", "oidc_response_types": "id_token"},
            "query response_mode may not be used with an id_token response_type",
        ),
        (
            {"jwt_validation_pubkeys": "{pem}", "oidc_response_mode": "fragment"},
            'invalid response_mode: "fragment"',
        ),
        (
            {"jwt_validation_pubkeys": "{pem}", "provider_config": {"a": "b"}},
            "invalid provider_config: 'provider' field not found in provider_config",
        ),
        (
            {"jwt_validation_pubkeys": "{pem}", "provider_config": {"provider": "x"}},
            'invalid provider_config: provider "x" not found in custom providers',
        ),
    ],
    ids=str,
)
async def test_refused_configurations(
    mount: JWTMount, provider: Provider, fields: dict[str, Any], text: str
) -> None:
    """A configuration with which nobody could log in is not stored."""
    before = await mount.read("config")
    with pytest.raises(UserError) as caught:
        await mount.write("config", fill(fields, provider))
    assert str(caught.value).startswith(fill(text, provider))
    assert await mount.read("config") == before


def fill(value: Any, provider: Provider) -> Any:
    """Put the provider's URL and a public key where a test names them."""
    if isinstance(value, dict):
        return {name: fill(each, provider) for name, each in value.items()}
    if isinstance(value, list):
        return [fill(each, provider) for each in value]
    return (
        value.replace("{url}", provider.url).replace("{pem}", public_pem())
        if isinstance(value, str)
        else value
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"jwks_url": "{url}/keys"},
        {"jwks_pairs": [{"jwks_url": "{url}/empty", "jwks_ca_pem": ""}, {"jwks_url": "{url}/keys"}]},
        {"oidc_discovery_url": "{url}"},
        {"oidc_discovery_url": "{url}", "oidc_client_id": "id", "oidc_client_secret": "wL3mB6tTqkzR"},
    ],
    ids=str,
)
async def test_keys_of_a_provider(mount: JWTMount, provider: Provider, fields: dict[str, Any]) -> None:
    """Keys that are fetched verify tokens; a key that the provider adds is found."""
    await mount.write("config", fill(fields, provider))
    await mount.login(role="dev", jwt=make_token(key="first"))
    fetches = len(provider.fetches)
    await mount.login(role="dev", jwt=make_token(key="first"))
    assert len(provider.fetches) == fetches


@pytest.mark.parametrize(
    "fields", [{"jwks_url": "{url}/broken"}, {"oidc_discovery_url": "{url}/other"}], ids=str
)
async def test_a_provider_that_is_not_there_yet(
    mount: JWTMount, provider: Provider, fields: dict[str, Any]
) -> None:
    """On request a configuration is stored all the same, with a warning; the request is not stored."""
    response = await mount.write("config", fill(fields, provider), skip_jwks_validation=True)
    assert response is not None
    (warning,) = response.warnings
    assert warning.startswith("error checking ")
    found = await mount.read("config")
    assert found == DEFAULTS | fill(fields, provider)
    entry = await mount.storage.get("config")
    assert entry is not None
    assert b"skip_jwks" not in entry.value
    for wrong in ({}, {"jwks_url": "ftp://x"}, {"jwks_url": provider.keys_url, "jwks_ca_pem": "x"}):
        with pytest.raises(UserError):
            await mount.write("config", wrong, skip_jwks_validation=True)


async def test_configuration_cannot_be_deleted(mount: JWTMount) -> None:
    """As with vault-plugin-auth-jwt, there is no delete; the entry is sealed where hosts can."""
    with pytest.raises(UnsupportedOperationError):
        await mount.delete("config")
    assert mount.backend.special_paths().seal_wrap_storage == ("config", "oidc/")
