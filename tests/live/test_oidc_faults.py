"""Providers gone wrong, one fault at a time, on a real server: each is refused for its reason."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from faulty_provider import Fault, FaultyProvider
from identity_provider import serve
from livebed.client import ServerError
from livebed.mounts import Mount
from livebed.oidc_mount import OIDC_PLUGINS

pytestmark = pytest.mark.parametrize("make_plugin", OIDC_PLUGINS, indirect=True)

CALLBACK = "http://localhost:8250/oidc/callback"
"""Nobody is sent there: the tests are browser and command line in one."""


@pytest.fixture
def provider(standing: Mount) -> Iterator[FaultyProvider]:
    """A provider without faults at first, known to the mount. Each test has one: failures are remembered."""
    # The budget of an address for failing logins starts full again.
    standing.client.write("sys/plugins/reload/backend", mounts=[f"auth/{standing.path}/"])
    with serve(FaultyProvider()) as running:
        standing.client.secrets.append(running.client_secret)
        standing.client.write(
            f"auth/{standing.path}/config",
            oidc_discovery_url=running.url,
            oidc_client_id=running.client_id,
            oidc_client_secret=running.client_secret,
        )
        standing.client.write(
            f"auth/{standing.path}/role/people",
            role_type="oidc",
            user_claim="email",
            allowed_redirect_uris=[CALLBACK],
            token_policies=["default"],
        )
        yield running


def begin(mount: Mount) -> tuple[str, str]:
    """Begin a login as a client does; return the URL for people, empty when there is none, and the nonce."""
    nonce = secrets.token_urlsafe(15)
    body = {"role": "people", "redirect_uri": CALLBACK, "client_nonce": nonce}
    answer = mount.client.with_token("").write(f"auth/{mount.path}/oidc/auth_url", **body)
    return answer["data"]["auth_url"], nonce


def finish(mount: Mount, back: dict[str, str], nonce: str) -> dict[str, Any]:
    """Hand over what the provider has sent back; return the `auth` of the answer."""
    path = f"auth/{mount.path}/oidc/callback"
    answer = mount.client.with_token("").call("GET", path, params=back | {"client_nonce": nonce})
    mount.client.secrets.append(answer["auth"]["client_token"])
    return dict(answer["auth"])


EXCHANGE = "Vault login failed. Error exchanging oidc code: "
NOT_TOLD = 'claim "email" not found in token'
"""The name is in userinfo only, which is not believed."""
REFUSALS = {
    Fault.AUTHORIZATION_DENIED: "Vault login failed. access_denied",
    Fault.AUTHORIZATION_HTML: "Vault login failed. server_error",
    Fault.AUTHORIZATION_STATE: "Vault login failed. Expired or missing OAuth state.",
    Fault.AUTHORIZATION_ISSUER: "the response is of another issuer (iss)",
    Fault.TOKEN_INVALID_GRANT: "invalid_grant",
    Fault.TOKEN_INVALID_CLIENT: "invalid_client",
    Fault.TOKEN_HTML_DESCRIPTION: "invalid_request",
    Fault.TOKEN_HTML: "unable to exchange auth code with provider",
    Fault.TOKEN_SERVER_ERROR: "oauth2: cannot fetch token: 503 Service Unavailable",
    Fault.TOKEN_HUGE: "unable to exchange auth code with provider",
    Fault.NO_ACCESS_TOKEN: "access_token is missing",
    Fault.NO_ID_TOKEN: "id_token is missing from auth code exchange",
    Fault.ISS: "id token issued by a different provider",
    Fault.AUD: "one audience (another-client) which is not the client_id",
    Fault.AUD_SEVERAL: "multiple audiences and authorized party",
    Fault.AZP: "authorized party (another-client) is not equal client_id",
    Fault.NONCE: "invalid id_token nonce",
    Fault.NO_NONCE: "invalid id_token nonce",
    Fault.AT_HASH: "access_token hash does not match value in id_token",
    Fault.EXPIRED: "oidc: token is expired",
    Fault.NO_SUB: "sub: missing required claim",
    Fault.ALG_NONE: 'unexpected signature algorithm \\"none\\"',
    Fault.NO_KID: "no key id (kid) though the issuer has several keys",
    Fault.UNKNOWN_KID: "failed to verify id token signature",
    Fault.SIGNATURE: "failed to verify id token signature",
    Fault.USERINFO_SUB: NOT_TOLD,
    Fault.USERINFO_NO_SUB: NOT_TOLD,
    Fault.USERINFO_ERROR: NOT_TOLD,
    Fault.USERINFO_REFUSED: NOT_TOLD,
    Fault.USERINFO_HTML: NOT_TOLD,
}
"""What is said to whoever logs in."""
PEERS_OWN = {
    Fault.AUTHORIZATION_DENIED: "Vault login failed. No code or id_token received.",
    Fault.AUTHORIZATION_HTML: "Vault login failed. No code or id_token received.",
    # It does not look at the parameter.
    Fault.AUTHORIZATION_ISSUER: "",
    # It has sent the code a second time, with the secret in the form.
    Fault.NO_ACCESS_TOKEN: "invalid_client",
    # It tries one key after the other.
    Fault.NO_KID: "",
}
"""Where the official plugin says something else, or lets somebody in: then it is empty."""


@pytest.mark.parametrize("fault", REFUSALS)
def test_refusal(standing: Mount, provider: FaultyProvider, fault: Fault) -> None:
    """The fault is named; nothing that the provider wrote for people is repeated; no code is sent twice."""
    url, nonce = begin(standing)
    provider.faults = {fault}
    words = PEERS_OWN.get(fault, REFUSALS[fault]) if standing.is_peer else REFUSALS[fault]
    if not words:
        assert finish(standing, provider.log_in(url), nonce)["client_token"]
        return
    with pytest.raises(ServerError) as refused:
        finish(standing, provider.log_in(url), nonce)
    assert refused.value.status == 400
    if standing.server.program.is_bao and not standing.is_peer:
        words = words.replace("Vault login", "OpenBao login")
    assert words in refused.value.text
    if not standing.is_peer:
        assert "<" not in refused.value.text
        assert len(provider.forms) <= 1


def test_good_login(standing: Mount, provider: FaultyProvider) -> None:
    """Without a fault the same login is granted, and its state is good once."""
    url, nonce = begin(standing)
    back = provider.log_in(url)
    assert finish(standing, back, nonce)["client_token"]
    with pytest.raises(ServerError, match="Expired or missing OAuth state"):
        finish(standing, back, nonce)
    assert provider.reused == []


def test_code_of_another_login(standing: Mount, provider: FaultyProvider) -> None:
    """Somebody's code, slipped into the login of somebody else, is refused."""
    theirs = provider.log_in(begin(standing)[0])
    url, nonce = begin(standing)
    own = provider.log_in(url)
    # The official plugin tries again with the secret in the form, and shows what was said to that.
    words = "invalid_client" if standing.is_peer else "invalid_grant"
    with pytest.raises(ServerError, match=words):
        finish(standing, own | {"code": theirs["code"]}, nonce)


def test_wrong_client_nonce(standing: Mount, provider: FaultyProvider) -> None:
    """Who did not begin a login cannot finish it, and the try uses it up."""
    url, nonce = begin(standing)
    back = provider.log_in(url)
    with pytest.raises(ServerError, match="invalid client_nonce"):
        finish(standing, back, nonce[::-1])
    with pytest.raises(ServerError, match="Expired or missing OAuth state"):
        finish(standing, back, nonce)
    assert provider.forms == []


def test_metadata_of_another_issuer(standing: Mount, provider: FaultyProvider) -> None:
    """A login does not begin at a provider that says it is somebody else; a configuration neither."""
    provider.faults = {Fault.DISCOVERY_ISSUER}
    assert begin(standing)[0] == ""
    with pytest.raises(ServerError, match="error checking oidc discovery URL"):
        standing.client.write(
            f"auth/{standing.path}/config",
            oidc_discovery_url=provider.url,
            oidc_client_id=provider.client_id,
            oidc_client_secret=provider.client_secret,
        )


def test_slow_token_endpoint(standing: Mount, provider: FaultyProvider) -> None:
    """A provider that does not answer costs one login, not the mount."""
    if standing.is_peer:
        pytest.skip("the official plugin has no time-out of its own")
    url, nonce = begin(standing)
    provider.faults = {Fault.TOKEN_SLOW}
    with pytest.raises(ServerError) as refused:
        finish(standing, provider.log_in(url), nonce)
    assert EXCHANGE.removeprefix("Vault ") in refused.value.text
    provider.faults = set()
    url, nonce = begin(standing)
    assert finish(standing, provider.log_in(url), nonce)["client_token"]
