"""What is shown of the URLs that an operator writes: to clients, in status, in the log."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from identity_provider import Provider
from jwt_auth.settings.config import JWTConfig
from jwt_auth.settings.issuer import JWTIssuer
from jwt_auth_mounts import JWTMount

from authkit.errors import LogicalError

NOBODY = "127.0.0.1:9"
"""Where nobody listens."""


async def refusal(mount: JWTMount, path: str, **body: Any) -> str:
    """Return the text of a refused write."""
    with pytest.raises(LogicalError) as caught:
        await mount.write(path, body)
    return str(caught.value)


@pytest.mark.parametrize(
    "config",
    [
        {"jwks_url": f"http://{NOBODY}/keys?key=sesame#sesame"},
        {"jwks_pairs": [{"jwks_url": f"http://{NOBODY}/keys?key=sesame"}]},
        {"jwks_url": "ftp://user:sesame@a.example/keys?key=sesame"},
        {"jwks_url": "user:sesame@a.example/keys?key=sesame"},
        {"jwks_url": f"http://user:sesame@{NOBODY}/keys"},
        {"jwks_pairs": [{"jwks_url": f"http://user:sesame@{NOBODY}/keys"}]},
        {"oidc_discovery_url": f"http://user:sesame@{NOBODY}"},
        {"oidc_discovery_url": f"http://{NOBODY}?key=sesame"},
    ],
)
@pytest.mark.parametrize("path", ["config", "issuer/one"])
async def test_a_refused_url_is_not_repeated_with_its_secrets(
    bare: JWTMount, caplog: pytest.LogCaptureFixture, path: str, config: dict[str, Any]
) -> None:
    """Neither credentials nor query are in what the client reads, nor in the log."""
    caplog.set_level(logging.DEBUG, "authkit")
    fields = {"bound_issuer": "https://issuer.example"} if path != "config" and "jwks_url" in config else {}
    assert "sesame" not in await refusal(bare, path, **config, **fields)
    assert "sesame" not in caplog.text


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (
            {"jwks_url": f"http://user:sesame@{NOBODY}/keys"},
            f"error checking jwks URL http://{NOBODY}/keys: it contains credentials",
        ),
        (
            {"oidc_discovery_url": f"http://user@{NOBODY}"},
            "error checking oidc discovery URL: it contains credentials",
        ),
    ],
)
async def test_credentials_in_a_url_are_refused(bare: JWTMount, config: dict[str, Any], text: str) -> None:
    """An operator learns that before anything is asked: every reader of the configuration would see them."""
    assert (await refusal(bare, "config", **config)).startswith(text)


def test_credentials_of_earlier_versions_load_and_are_not_shown() -> None:
    """What was stored before still serves; a read shows the URL without them."""
    url = "https://user:sesame@a.example/keys?a=b"
    shown = "https://a.example/keys?a=b"
    config = JWTConfig.from_stored({"jwks_url": url})
    assert config.make_keys()
    assert config.read_shape()["jwks_url"] == shown
    assert JWTIssuer.from_stored({"jwks_url": url}).read_shape()["jwks_url"] == shown
    pairs = [{"jwks_url": url, "jwks_ca_pem": "x"}]
    assert JWTConfig.from_stored({"jwks_pairs": pairs}).read_shape()["jwks_pairs"] == [
        {"jwks_url": shown, "jwks_ca_pem": "x"}
    ]


async def test_the_status_shows_no_query(bare: JWTMount, provider: Provider) -> None:
    """A read of the configuration shows it as it was written; the status and the log do not."""
    provider.answers["/keys?key=sesame"] = provider.answer("/keys")
    url = f"{provider.url}/keys?key=sesame"
    await bare.write("config", {"jwks_url": url})
    status, config = await bare.read("status"), await bare.read("config")
    assert status is not None
    assert config is not None
    assert status["issuers"]["default"]["keys"][0]["source"] == f"{provider.url}/keys"
    assert "sesame" not in str(status)
    assert config["jwks_url"] == url
