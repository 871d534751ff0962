"""The configuration of the JWT method."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from identity_provider import DISCOVERY, Provider, serve_provider
from jwt_auth.providers.registry import BUILT_IN
from jwt_auth.settings.config import JWTConfig
from jwt_auth_keys import make_token, public_jwk, public_pem
from jwt_auth_mounts import JWTMount

from authkit.errors import LoginError, UnsupportedOperationError, UserError
from authkit.logical import Operation, StorageEntry

NO_SOURCE = (
    "exactly one of 'jwt_validation_pubkeys', 'jwks_url', 'jwks_pairs' or 'oidc_discovery_url' must be set"
)
DEFAULTS = {
    "allow_plaintext_key_sources": False,
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


async def test_a_write_warns_of_what_it_leaves_out(bare: JWTMount) -> None:
    """By name, secrets too; a patch leaves nothing out."""
    fields = {"jwt_validation_pubkeys": [public_pem()], "bound_issuer": "https://issuer.example"}
    await bare.write("config", fields, default_role="dev", skip_jwks_validation=True)
    answer = await bare.write("config", fields)
    assert answer is not None
    assert [text.partition("defaults: ")[2].partition(".")[0] for text in answer.warnings] == [
        "[default_role]"
    ]
    assert await bare.request(Operation.PATCH, "config", {"default_role": "ci"}) is None
    found = await bare.read("config")
    assert found is not None
    assert found["bound_issuer"] == fields["bound_issuer"]


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
    bare: JWTMount, provider: Provider, fields: dict[str, Any]
) -> None:
    """On request a configuration is stored all the same, with a warning; the request is not stored."""
    response = await bare.write("config", fill(fields, provider), skip_jwks_validation=True)
    assert response is not None
    plaintext, warning = response.warnings
    assert "begins with http://" in plaintext
    assert warning.startswith("error checking ")
    found = await bare.read("config")
    assert found == DEFAULTS | fill(fields, provider)
    entry = await bare.storage.get("config")
    assert entry is not None
    assert b"skip_jwks" not in entry.value
    for wrong in ({}, {"jwks_url": "ftp://x"}, {"jwks_url": provider.keys_url, "jwks_ca_pem": "x"}):
        with pytest.raises(UserError):
            await bare.write("config", wrong, skip_jwks_validation=True)


SECRETS = {"api_token": "wL3mB6tTqkzR", "gsuite_service_account": "9pGm2VxQ-account"}


async def patch(mount: JWTMount, **fields: Any) -> None:
    """Patch the configuration."""
    await mount.request(Operation.PATCH, "config", fields)


@pytest.fixture
async def okta(bare: JWTMount, provider: Provider) -> JWTMount:
    """A mount that has a secret of its client, and one of its provider."""
    lookups = {"provider": "okta", "org_url": "https://okta.test", "api_token": SECRETS["api_token"]}
    client = {"oidc_client_id": "id", "oidc_client_secret": "9pGm2VxQ"}
    await bare.write("config", oidc_discovery_url=provider.url, provider_config=lookups, **client)
    return bare


@pytest.mark.parametrize("name", ["ibmisam", "azure", "secureauth", None])
async def test_attack_another_provider_shows_the_secrets_of_the_one_before(
    okta: JWTMount, name: str | None
) -> None:
    """They are neither shown nor kept."""
    await patch(okta, provider_config={"provider": name} if name else None)
    assert SECRETS["api_token"] not in str(await okta.read("config"))
    entry = await okta.storage.get("config")
    assert entry is not None
    assert SECRETS["api_token"].encode() not in entry.value


async def test_attack_secrets_of_another_provider_that_are_stored(bare: JWTMount) -> None:
    """Whatever 'provider' says, and whatever was mistyped: only what is known to be no secret is shown."""
    for name in (*BUILT_IN, "unknown", ""):
        stored = {"provider": name, "api_tokn": "wL3mB6tTqkzS", "fetch_groups": True} | SECRETS
        await bare.backend.config.put(JWTConfig(jwt_validation_pubkeys=public_pem(), provider_config=stored))
        found = await bare.read("config")
        assert found is not None
        assert found["provider_config"] == {"provider": name, "fetch_groups": True}
    with pytest.raises(
        UserError, match=r"^invalid provider_config: provider 'azure' has no setting 'api_tokn'"
    ):
        await bare.configure(provider_config={"provider": "azure", "api_tokn": "wL3mB6tTqkzS"})


async def test_a_stored_setting_that_the_provider_does_not_have(bare: JWTMount) -> None:
    """The official plugin stores unknown settings and ignores them; only one that is written is refused."""
    stored = {"provider": "azure", "fetch_group": True, "graph_hots": "graph.test"}
    await bare.backend.config.put(JWTConfig(jwt_validation_pubkeys=public_pem(), provider_config=stored))
    await patch(bare, default_role="dev")
    await patch(bare, provider_config={"fetch_groups": True})
    unknown = r"^invalid provider_config: provider 'azure' has no setting "
    with pytest.raises(UserError, match=rf"{unknown}'fetch_group'$"):
        await patch(bare, provider_config={"fetch_group": False})
    with pytest.raises(UserError, match=rf"{unknown}'api_tokn'$"):
        await patch(bare, provider_config={"api_tokn": "wL3mB6tTqkzS"})
    await patch(bare, provider_config={"fetch_group": None})
    config = await bare.backend.config.get()
    assert config.default_role == "dev"
    assert config.provider_config == {"provider": "azure", "graph_hots": "graph.test", "fetch_groups": True}
    with pytest.raises(UserError, match=rf"{unknown}'graph_hots'$"):
        await bare.configure(provider_config=config.provider_config)


@pytest.mark.parametrize(
    ("fields", "secret"),
    [
        ({"oidc_discovery_url": "{other}", "provider_config": None}, "oidc_client_secret"),
        ({"oidc_discovery_ca_pem": "{pem}", "provider_config": None}, "oidc_client_secret"),
        ({"oidc_discovery_url": "{other}", "oidc_client_secret": "9pGm2VxQ"}, "provider_config.api_token"),
        ({"oidc_discovery_ca_pem": "x", "oidc_client_secret": "9pGm2VxQ"}, "provider_config.api_token"),
        ({"provider_config": {"org_url": "https://evil.test"}}, "provider_config.api_token"),
        ({"provider_config": {"org_url": None}}, "provider_config.api_token"),
    ],
    ids=str,
)
async def test_attack_a_changed_destination_keeps_the_secret(
    okta: JWTMount, fields: dict[str, Any], secret: str
) -> None:
    """Whoever may patch the configuration would have the secrets sent to a server of their own."""
    with serve_provider(public_jwk("evil")) as evil:
        filled = json.loads(json.dumps(fields).replace("{other}", evil.url))
        with pytest.raises(UserError, match=rf"^'{secret}' must be sent again: this request changes"):
            await patch(okta, **filled)
        assert evil.fetches == []


async def test_a_changed_destination_with_the_secrets(okta: JWTMount) -> None:
    """Who knows them may send them anywhere; what says nothing of the way needs no secret."""
    with serve_provider(public_jwk("first")) as other:
        client = {"oidc_discovery_url": other.url, "oidc_client_secret": "9pGm2VxQ"}
        await patch(okta, **client, provider_config={"api_token": SECRETS["api_token"]})
        await patch(okta, default_role="dev", provider_config={"groups_cap": 50, "fetch_groups": True})
    found = await okta.read("config")
    assert found is not None
    assert found["provider_config"]["org_url"] == "https://okta.test"


@pytest.mark.parametrize(
    "fields",
    [
        {"jwks_url": "{url}/keys"},
        {"jwks_pairs": [{"jwks_url": "{url}/keys"}, {"jwks_url": "{url}/empty"}]},
        {"oidc_discovery_url": "{url}"},
    ],
    ids=str,
)
@pytest.mark.parametrize("way", ["write", "patch", "another node"])
async def test_attack_a_withdrawn_key_survives_a_rewrite(
    mount: JWTMount, provider: Provider, fields: dict[str, Any], way: str
) -> None:
    """An operator who writes the configuration again expects the provider's keys of now."""
    await mount.write("config", fill(fields, provider))
    stolen = make_token(key="first")
    await mount.login(role="dev", jwt=stolen)
    provider.keys[:] = [public_jwk("second")]
    if way == "write":
        await mount.write("config", fill(fields, provider))
    elif way == "patch":
        await patch(mount, default_role="")
    else:
        await mount.backend.invalidate_key("config")
    with pytest.raises(LoginError):
        await mount.login(role="dev", jwt=stolen)
    await mount.login(role="dev", jwt=make_token(key="second"))


async def test_attack_a_withdrawn_key_of_a_further_issuer(mount: JWTMount, provider: Provider) -> None:
    """The same holds for each issuer; keys of the others are not fetched again."""
    issuer = {"bound_issuer": "https://ci", "jwks_url": provider.keys_url}
    await mount.configure(bound_issuer="https://people")
    await mount.write_role(user_claim="{iss}|{sub}", bound_issuers="ci,other")
    await mount.write("issuer/ci", issuer)
    await mount.write("issuer/other", issuer | {"bound_issuer": "https://other"})
    stolen = make_token(key="first", iss="https://ci")
    for iss in ("https://ci", "https://other"):
        await mount.login(role="dev", jwt=make_token(key="first", iss=iss))
    provider.keys[:] = [public_jwk("second")]
    fetches = len(provider.fetches)
    await mount.write("issuer/ci", issuer)
    with pytest.raises(LoginError):
        await mount.login(role="dev", jwt=stolen)
    await mount.login(role="dev", jwt=make_token(key="first", iss="https://other"))
    assert len(provider.fetches) == fetches + 1


async def test_what_a_write_has_fetched_serves_the_first_login(mount: JWTMount, provider: Provider) -> None:
    """So the keys are those of the write, and a provider that goes down right then does no harm."""
    await mount.write("config", jwks_url=provider.keys_url)
    assert provider.fetches == ["/keys"]
    provider.answers["/keys"] = (500, "out of order")
    await mount.login(role="dev", jwt=make_token(key="first"))
    assert provider.fetches == ["/keys"]


REMOTE = "192.0.2.1"
PLAINTEXT = (
    r"begins with http:// and leads to another machine: anyone on the network path could log in as any user"
)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"jwks_url": f"http://{REMOTE}/keys"}, "jwks_url"),
        ({"jwks_url": "HTTP://keys.example/keys"}, "jwks_url"),
        ({"jwks_url": "http://localhost.example/keys"}, "jwks_url"),
        ({"oidc_discovery_url": f"http://{REMOTE}"}, "oidc_discovery_url"),
        ({"jwks_pairs": [{"jwks_url": "{url}/keys"}, {"jwks_url": f"http://{REMOTE}/"}]}, "jwks_pairs"),
    ],
    ids=str,
)
async def test_attack_keys_that_anybody_on_the_way_can_replace(
    mount: JWTMount, provider: Provider, fields: dict[str, Any], name: str
) -> None:
    """Refused before anything is fetched, unless a field says that it may be so; further issuers too."""
    fields = fill(fields, provider)
    with pytest.raises(UserError, match=rf"^'{name}' {PLAINTEXT}"):
        await mount.write("config", fields, skip_jwks_validation=True)
    if name != "jwks_pairs":
        with pytest.raises(UserError, match=rf"^'{name}' {PLAINTEXT}"):
            await mount.write("issuer/ci", fields, bound_issuer="https://ci")
    assert provider.fetches == []
    # Nobody is there, or nobody answers: what counts is that it gets that far.
    JWTConfig(**fields, allow_plaintext_key_sources=True).verify()
    await mount.backend.config.put(JWTConfig(**fields))
    status = await mount.read("status")
    assert status is not None
    assert f"'{name}' begins with http:// and leads to another machine" in status["problem"]


@pytest.mark.parametrize(
    "fields",
    [
        {"jwks_url": "{url}/keys"},
        {"oidc_discovery_url": "{url}"},
        {"jwks_pairs": [{"jwks_url": "{url}/keys"}]},
    ],
)
async def test_plaintext_on_this_machine_is_told(
    bare: JWTMount, provider: Provider, fields: dict[str, Any]
) -> None:
    """It is stored with a warning."""
    response = await bare.write("config", fill(fields, provider))
    assert response is not None
    (name,) = fields
    assert response.warnings == (f"'{name}' begins with http://: the keys are fetched without encryption",)


@pytest.mark.parametrize("name", ["jwks_uri", "token_endpoint", "authorization_endpoint"])
async def test_attack_a_document_of_this_machine_leads_to_another(
    mount: JWTMount, provider: Provider, name: str
) -> None:
    """Over http, that is: the way there is no more protected than a source of keys would be."""
    document = provider.document(provider.url) | {name: f"http://{REMOTE}/x"}
    provider.answers[DISCOVERY] = (200, json.dumps(document))
    with pytest.raises(UserError, match=r"^error checking oidc discovery URL"):
        await mount.write("config", oidc_discovery_url=provider.url)


async def test_configuration_cannot_be_deleted(mount: JWTMount) -> None:
    """As with vault-plugin-auth-jwt, there is no delete; the entry is sealed where hosts can."""
    with pytest.raises(UnsupportedOperationError):
        await mount.delete("config")
    assert mount.backend.special_paths().seal_wrap_storage == ("config", "oidc/")


@pytest.mark.parametrize("skip", [False, True])
async def test_a_static_key_with_which_anybody_can_sign(bare: JWTMount, skip: bool) -> None:
    """It is refused at the write, also where no provider has to answer; a stored one refuses its tokens."""
    weak = RSAPublicNumbers(65537, 3**1400).public_key()
    pem = weak.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(UserError, match="error parsing public key: anybody can sign with this RSA key"):
        await bare.write("config", jwt_validation_pubkeys=pem, skip_jwks_validation=skip)
    record = {"jwt_validation_pubkeys": [pem]}
    await bare.storage.put(StorageEntry("config", json.dumps(record).encode()))
    await bare.backend.invalidate_key("config")
    await bare.write_role()
    with pytest.raises(LoginError, match="anybody can sign with this RSA key"):
        await bare.login(role="dev", jwt=make_token())


async def test_key_sets_are_few(bare: JWTMount) -> None:
    """Each takes threads of the process for its look-ups."""
    pairs = [{"jwks_url": f"https://keys{number}.example/"} for number in range(17)]
    with pytest.raises(UserError, match=r"^'jwks_pairs' has more than 16 key sets$"):
        await bare.write("config", jwks_pairs=pairs, skip_jwks_validation=True)
