"""The requests that the official JWT plugin and ours are both sent, in this order.

`differs` names the row of docs/jwt-differences.md that says why the answers are not the same, `ours` what
ours begins with then. Sending and comparing are left to test_jwt_side_by_side.py.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jwt as pyjwt
from canaries import canary
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from identity_provider import Provider
from livebed.sidebyside import Step
from livebed.tokens import AUDIENCE, ISSUER, Issuer

__all__ = ["World", "requests"]


@dataclass(frozen=True)
class World:
    """What the requests speak of."""

    rsa: Issuer
    ec: Issuer
    stranger: Issuer
    provider: Provider
    certificate: str
    ca_pem: str

    @property
    def pem(self) -> str:
        """The public key of the usual issuer."""
        return self.rsa.public_pem

    def token(self, **claims: Any) -> Callable[[], str]:
        """Return what makes a token with these claims when it is sent; `None` leaves a claim out."""
        without = tuple(name for name, value in claims.items() if value is None)
        return lambda: self.rsa.token(without=without, **claims)

    def dated(self, **offsets: float | None) -> Callable[[], str]:
        """Return what makes a token whose dates are so many seconds from now; `None` leaves one out."""

        def make() -> str:
            now = int(time.time())
            dates = {name: now + each for name, each in offsets.items() if each is not None}
            without = tuple(name for name in ("iat", "nbf", "exp") if name not in dates)
            return self.rsa.token(without=without, **dates)

        return make


def requests(world: World) -> Iterator[Step]:
    """All of them."""
    yield from before_anything(world)
    yield from config_refusals(world)
    yield from config_fields(world)
    yield from config_providers(world)
    yield from config_weak_keys(world)
    yield from config_key_sets(world)
    yield from config_key_set_pairs(world)
    yield from config_discovery(world)
    yield from role_fields(world)
    yield from role_refusals(world)
    yield from role_token_fields(world)
    yield from role_legacy_names(world)
    yield from role_updates(world)
    yield from names_and_lists(world)
    yield from paths_and_operations(world)
    yield from help_pages()
    yield from login_order(world)
    yield from login_signatures(world)
    yield from login_registered_claims(world)
    yield from login_times(world)
    yield from login_identity(world)
    yield from login_bound_claims(world)
    yield from login_bound_numbers(world)
    yield from login_bound_globs(world)
    yield from login_tokens(world)
    yield from login_key_sets(world)


BINDS_NOTHING = "400 'bound_claims' has an empty name or value"
MALFORMED = "400 error validating token: error verifying token signature: oidc: malformed jwt: "


def put(path: str, differs: str = "", ours: str = "", **body: Any) -> Step:
    """Return a write."""
    return Step(method="POST", path=path, body=body, differs=differs, ours=ours)


def get(path: str, differs: str = "", ours: str = "") -> Step:
    """Return a read."""
    return Step(method="GET", path=path, differs=differs, ours=ours)


def listing(path: str, differs: str = "", ours: str = "") -> Step:
    """Return a list."""
    return Step(method="LIST", path=path, differs=differs, ours=ours)


def delete(path: str, differs: str = "", ours: str = "") -> Step:
    """Return a delete."""
    return Step(method="DELETE", path=path, differs=differs, ours=ours)


def patch(path: str, differs: str = "", ours: str = "", **body: Any) -> Step:
    """Return a patch."""
    return Step(method="PATCH", path=path, body=body, differs=differs, ours=ours)


def login(
    jwt: Any = None, role: Any = "dev", differs: str = "", ours: str = "", keep: str = "", **body: Any
) -> Step:
    """Return a login; `None` leaves a field out."""
    fields = {name: value for name, value in {"role": role, "jwt": jwt, **body}.items() if value is not None}
    return Step(
        method="POST", path="login", body=fields, differs=differs, ours=ours, as_login=True, keep=keep
    )


SECRET = canary("client-secret")
"""The client secret: nothing that is a word of any message."""

GOOD: dict[str, Any] = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": AUDIENCE}


def role(differs: str = "", ours: str = "", read_differs: str = "", **fields: Any) -> Iterator[Step]:
    """Write a role from nothing and read it."""
    yield delete("role/dev")
    yield put("role/dev", differs, ours, **(GOOD | fields))
    yield get("role/dev", read_differs, "200" if read_differs else "")


def bad_role(differs: str = "", ours: str = "", **fields: Any) -> Iterator[Step]:
    """Write a role that is refused, or not."""
    yield delete("role/bad")
    yield put("role/bad", differs, ours, **(GOOD | fields))


def before_anything(world: World) -> Iterator[Step]:
    """A mount that nobody has configured."""
    yield get("config")
    yield get("role/dev")
    yield listing("role")
    yield listing("role/")
    yield delete("role/dev")
    yield login(world.token())
    yield login()
    yield put("role/dev", **GOOD)
    yield login(world.token())
    yield delete("role/dev")


def config_refusals(world: World) -> Iterator[Step]:
    """The configuration: what is refused."""
    pem = world.pem
    yield put("config")
    yield put("config", bound_issuer=ISSUER)
    yield put("config", jwt_validation_pubkeys=pem, jwks_url=world.provider.keys_url)
    yield put("config", jwt_validation_pubkeys=pem, oidc_discovery_url=world.provider.url)
    yield put("config", jwks_url="x", jwks_pairs=[{"jwks_url": "x"}])
    yield put("config", jwt_validation_pubkeys=pem, oidc_client_id="id")
    yield put("config", jwt_validation_pubkeys=pem, oidc_client_secret=SECRET)
    yield put("config", jwt_validation_pubkeys=pem, oidc_client_id="id", oidc_client_secret=SECRET)
    yield get("config")
    yield put("config", jwt_validation_pubkeys="no key")
    yield put("config", jwt_validation_pubkeys=[pem, "no key"])
    yield put("config", jwt_validation_pubkeys=[pem + "more"])
    yield put("config", jwt_validation_pubkeys=[pem + pem])
    yield put("config", jwt_validation_pubkeys=[])
    yield put("config", jwt_validation_pubkeys={"a": 1})
    yield put("config", jwt_validation_pubkeys=pem, jwt_supported_algs="RS256,none")
    yield put("config", jwt_validation_pubkeys=pem, jwt_supported_algs="HS256")
    yield put("config", jwt_validation_pubkeys=pem, jwt_supported_algs="rs256")
    yield put("config", jwt_validation_pubkeys=pem, oidc_response_types="code,token")
    yield put("config", jwt_validation_pubkeys=pem, oidc_response_types=["id_token"])
    yield put(
        "config", jwt_validation_pubkeys=pem, oidc_response_types="id_token", oidc_response_mode="query"
    )
    yield put("config", jwt_validation_pubkeys=pem, oidc_response_mode="fragment")
    yield put("config", jwt_validation_pubkeys=pem, oidc_response_mode="QUERY")
    yield put("config", jwt_validation_pubkeys=pem, provider_config={"fetch_groups": True})
    yield put("config", jwt_validation_pubkeys=pem, provider_config={"provider": 5})
    yield put("config", jwt_validation_pubkeys=pem, provider_config={"provider": "nobody"})
    yield put("config", jwt_validation_pubkeys=pem, provider_config="azure")
    wrong_type = {"provider": "azure", "fetch_groups": "true"}
    yield put("config", "wording", jwt_validation_pubkeys=pem, provider_config=wrong_type)
    yield put("config", jwt_validation_pubkeys=pem, namespace_in_state="perhaps")
    yield get("config")


def config_fields(world: World) -> Iterator[Step]:
    """The configuration: what a read shows."""
    pem = world.pem
    yield put("config", jwt_validation_pubkeys=pem)
    yield get("config")
    yield put(
        "config", jwt_validation_pubkeys=[pem, world.ec.public_pem, world.certificate], default_role="Dev"
    )
    yield get("config")
    yield put(
        "config",
        jwt_validation_pubkeys=pem,
        jwt_supported_algs="RS256, ES256",
        bound_issuer=ISSUER,
        default_role="DEV",
        oidc_response_types="code",
        oidc_response_mode="form_post",
        unsupported_critical_cert_extensions="2.5.29.30,junk",
        namespace_in_state=False,
    )
    yield get("config")
    yield put("config", jwt_validation_pubkeys=pem)
    yield get("config")
    yield put(
        "config", "warnings", "200", jwt_validation_pubkeys=pem, namespace_in_state=True, unknown=1, a="x"
    )
    yield get("config")


def config_providers(world: World) -> Iterator[Step]:
    """The configuration: settings of providers, and empty ones."""
    pem = world.pem
    for name in ("azure", "secureauth", "ibmisam"):
        unknown = f"400 invalid provider_config: provider '{name}' has no setting 'extra'"
        wrong = {"provider": name, "extra": "kept"}
        yield put("config", "provider-settings", unknown, jwt_validation_pubkeys=pem, provider_config=wrong)
        yield put("config", jwt_validation_pubkeys=pem, provider_config={"provider": name})
        yield get("config")
    yield put("config", "google", "204", jwt_validation_pubkeys=pem, provider_config={"provider": "gsuite"})
    bad_account = {"provider": "gsuite", "gsuite_service_account": "{}"}
    yield put("config", "wording", jwt_validation_pubkeys=pem, provider_config=bad_account)
    yield put("config", "okta", "204", jwt_validation_pubkeys=pem, provider_config={"provider": "okta"})
    kubernetes = '400 invalid provider_config: error initializing "kubernetes" provider_config: '
    yield put("config", "kubernetes", kubernetes, provider_config={"provider": "kubernetes"})
    yield put("config", jwt_validation_pubkeys=pem, provider_config=[])
    yield put("config", jwt_validation_pubkeys=pem, provider_config=None, default_role=None, jwks_url=None)
    yield get("config")
    yield delete("config")
    yield listing("config")
    yield get("config")


def config_weak_keys(world: World) -> Iterator[Step]:
    """Static keys that are refused here."""
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    weak_pem = weak.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    too_weak = "400 error parsing public key: RSA keys of less than 2048 bits are not accepted"
    yield put("config", "weak-keys", too_weak, jwt_validation_pubkeys=[weak_pem])
    neutral = ed25519.Ed25519PublicKey.from_public_bytes(b"\1" + bytes(31))  # R = B, S = 1 signs everything
    neutral_pem = neutral.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    not_a_key = "400 error parsing public key: anybody can sign with this Ed25519 key"
    yield put("config", "weak-keys", not_a_key, jwt_validation_pubkeys=[neutral_pem])


def config_key_sets(world: World) -> Iterator[Step]:
    """A key set from a URL, checked when the configuration is written."""
    provider, url = world.provider, world.provider.url
    yield put("config", jwks_url=provider.keys_url)
    yield get("config")
    yield put("config", jwks_url=provider.keys_url, bound_issuer=ISSUER, jwks_ca_pem=world.ca_pem)
    yield get("config")
    yield put("config", jwks_url=f"{url}/empty")
    yield put("config", jwks_url=f"{url}/html")
    yield put("config", jwks_url=f"{url}/broken")
    yield put("config", jwks_url=f"{url}/missing")
    yield put("config", jwks_url="http://127.0.0.1:1/keys")
    yield put("config", "plaintext", "400 'jwks_url' begins with http://", jwks_url="http://0.0.0.0:1/keys")
    yield put("config", jwks_url="ftp://127.0.0.1/keys")
    yield put("config", jwks_url="no url")
    yield put("config", jwks_url=provider.keys_url, jwks_ca_pem="no pem")
    yield get("config")


def config_key_set_pairs(world: World) -> Iterator[Step]:
    """Several key sets."""
    provider, url = world.provider, world.provider.url
    pair = {"jwks_url": provider.keys_url, "jwks_ca_pem": ""}
    yield put("config", jwks_pairs=[pair])
    yield get("config")
    yield put("config", jwks_pairs=[pair, {"jwks_url": f"{url}/empty"}])
    yield get("config")
    yield put("config", jwks_pairs=pair)
    yield get("config")
    yield put("config", jwks_pairs=[pair], jwks_ca_pem=world.ca_pem)
    yield put("config", jwks_pairs=[pair], bound_issuer=ISSUER)
    yield put("config", jwks_pairs=[pair, {"jwks_url": f"{url}/broken"}])
    yield put("config", "pair-url", "400 error checking jwks URL ", jwks_pairs=[{"jwks_ca_pem": ""}])
    yield put("config", jwks_pairs=["no object"])
    yield put("config", jwks_pairs="no object")
    yield put("config", jwks_pairs=[{"jwks_url": provider.keys_url, "jwks_ca_pem": "no pem"}])
    yield put("config", jwks_pairs=[{"jwks_url": provider.keys_url, "more": 1}])


def config_discovery(world: World) -> Iterator[Step]:
    """Keys by discovery, and the client of browser logins."""
    url = world.provider.url
    yield put("config", oidc_discovery_url=url)
    yield get("config")
    yield put("config", oidc_discovery_url=f"{url}/")
    yield put("config", oidc_discovery_url=f"{url}/other")
    yield put("config", oidc_discovery_url=f"{url}/missing")
    yield put("config", oidc_discovery_url=f"{url}/.well-known/openid-configuration")
    yield put("config", oidc_discovery_url="http://127.0.0.1:1")
    yield put("config", oidc_discovery_url=url, oidc_discovery_ca_pem="no pem")
    yield put("config", oidc_discovery_url=url, oidc_discovery_ca_pem=world.ca_pem, bound_issuer=url)
    yield get("config")
    yield put("config", oidc_discovery_url=url, oidc_client_id="id")
    yield put("config", oidc_discovery_url=url, oidc_client_id="id", oidc_client_secret=SECRET)
    yield get("config")
    yield put(
        "config",
        oidc_discovery_url=url,
        oidc_client_id="id",
        oidc_client_secret=SECRET,
        unsupported_critical_cert_extensions="2.5.29.30",
    )
    yield put(
        "config",
        "order",
        "400 invalid jwt_supported_algs",
        oidc_discovery_url=url,
        oidc_client_id="id",
        oidc_client_secret=SECRET,
        jwt_supported_algs="none",
    )
    yield put("config", jwt_validation_pubkeys=world.pem, bound_issuer="", default_role="")
    yield get("config")


def role_fields(world: World) -> Iterator[Step]:
    """Roles: fields of this backend."""
    yield from role()
    yield from role(role_type="jwt", bound_subject="alice", bound_audiences="")
    yield from role(bound_audiences=["a", " b ", "a,b"], bound_claims={"a": "b", "/c/d": ["e", 5, True, 5.0]})
    yield from role(bound_claims={"n": 1e3, "deep": {"a": 1}}, claim_mappings={"a": "b", "/c": "d"})
    yield from role(claim_mappings=["a=b", "c=d"], groups_claim="/groups", oidc_scopes="profile,email")
    yield from role(bound_claims_type="glob", bound_claims={"a": "x*", "b": ["y*", "z"]})
    yield from role(expiration_leeway=-1, not_before_leeway="10s", clock_skew_leeway="1h", max_age="2h")
    yield from role(expiration_leeway="-5m", clock_skew_leeway=0, verbose_oidc_logging=True)
    yield from role(user_claim="/a/b", user_claim_json_pointer=True)
    yield from role(allowed_redirect_uris="http://localhost:8250/oidc/callback", role_type="oidc")
    yield from role(allowed_redirect_uris=["http://a.test/x", "http://b.test/y"], role_type="")
    yield from role(token_bound_cidrs="127.0.0.1,10.0.0.0/8", bound_audiences="")
    yield from role(alias_metadata={"team": "x"})
    yield from role("warnings", "200", unknown=1)
    yield from role(bound_subject="x", bound_claims={"a": None}, groups_claim=None, max_age=None)
    yield from role(read_differs="null", bound_audiences=None, bound_subject="x")
    yield from role(bound_claims=[], bound_subject="x", claim_mappings=[], oidc_scopes=[])


def role_refusals(world: World) -> Iterator[Step]:
    """Roles: what is refused of the fields of this backend."""
    yield from bad_role(role_type="JWT")
    yield from bad_role(role_type="saml")
    yield from bad_role(role_type=None)
    yield from bad_role(role_type="oidc")
    yield from bad_role("bounds", "400 'bound_audiences' holds an empty text", bound_audiences=[""])
    yield from bad_role("leeways", "400 'clock_skew_leeway' is longer than 1 h", clock_skew_leeway="2h")
    yield from bad_role(user_claim="")
    yield from bad_role(user_claim=None)
    yield from bad_role(bound_audiences="")
    yield from bad_role(bound_claims_type="regex")
    yield from bad_role(bound_claims_type="")
    yield from bad_role(bound_claims_type=None)
    yield from bad_role(bound_claims_type="glob", bound_claims={"a": 5})
    yield from bad_role("wording", bound_claims_type="glob", bound_claims={"a": {"b": "c"}})
    yield from bad_role(bound_claims_type="glob", bound_claims={"a": True})
    yield from bad_role(bound_claims_type="glob", bound_claims={"a": ["b", 5]})
    yield from bad_role("wording", bound_claims_type="glob", bound_claims={"a": None})
    yield from bad_role(bound_claims="a=b")
    yield from bad_role(bound_claims=5)
    yield from bad_role(bound_claims='{"a": "b"}')
    yield from bad_role(claim_mappings={"a": "role"})
    yield from bad_role(claim_mappings={"a": "x", "b": "x"})
    yield from bad_role(claim_mappings="a")
    yield from bad_role(claim_mappings=["a"])
    yield from bad_role(claim_mappings={"a": {"b": "c"}})
    yield from bad_role(max_age=-1)
    yield from bad_role(max_age="soon")
    yield from bad_role(expiration_leeway="soon")
    yield from bad_role(verbose_oidc_logging="perhaps")
    yield from bad_role(bound_subject={"a": 1})
    yield from bad_role(bound_audiences={"a": 1})
    yield from bad_role(user_claim=["sub"])
    yield from bad_role(role_type="saml", token_num_uses=-1)
    yield from bad_role(bound_claims_type="regex", token_num_uses=-1)
    yield from bad_role(bound_claims_type="regex", claim_mappings={"a": "role"}, user_claim="")


def role_token_fields(world: World) -> Iterator[Step]:
    """Roles: token parameters."""
    yield from role(token_ttl="1h", token_max_ttl=7200, token_period="1m", token_explicit_max_ttl="2d")
    yield from role(token_policies="B, a,a", token_no_default_policy=True, token_num_uses=3)
    yield from role(
        token_policies=["default", "x,y"], token_type="service", token_bound_cidrs=["127.0.0.1/32"]
    )
    yield from role(token_type="batch", token_ttl="90s")
    yield from role(token_type="", token_max_ttl="9000h")
    yield from role(token_type="default", token_bound_cidrs=[], token_policies=[])
    yield from bad_role(token_ttl=2, token_max_ttl=1)
    yield from bad_role(token_ttl=-1)
    yield from bad_role(token_ttl="soon")
    yield from bad_role(token_num_uses=-1)
    yield from bad_role(token_num_uses="many")
    yield from bad_role(token_type="root")
    yield from bad_role("token-type", "204", token_type="default-service")
    yield from bad_role(token_type="batch", token_period="1m")
    yield from bad_role(token_type="batch", token_num_uses=1)
    yield from bad_role("wording", token_bound_cidrs="localhost")
    yield from bad_role("wording", token_bound_cidrs=["127.0.0.1", "300.0.0.1"])
    yield from bad_role(token_period="769h")
    yield from bad_role("root", "400 auth methods cannot create root tokens", token_policies="root")
    yield from bad_role(token_policies={"a": 1})
    yield from bad_role(alias_metadata="x")


def role_legacy_names(world: World) -> Iterator[Step]:
    """Roles: the names that token parameters had before."""
    yield from role(policies="Foo,default,foo", ttl="1h", max_ttl="2h", period=60, num_uses=2)
    yield from role(policies="a,b,A", bound_cidrs="127.0.0.1")
    yield from bad_role("root", "400 auth methods cannot create root tokens", policies="a,root,b")
    yield from role(policies="old", token_policies="new", ttl=5, token_ttl=6)
    yield put("role/dev", **GOOD, token_policies="only-new")
    yield get("role/dev")
    yield put("role/dev", **GOOD, token_ttl=7)
    yield get("role/dev")
    yield put("role/dev", **GOOD, policies="again")
    yield get("role/dev")
    longer = "400 'token_ttl' cannot be greater than 'token_max_ttl'"
    yield from bad_role("legacy", longer, ttl=3, max_ttl=2)
    yield from bad_role("legacy", longer, ttl=3, token_max_ttl=2)
    yield from bad_role("legacy", "400 'token_num_uses' cannot be negative", num_uses=-2)
    yield from bad_role("wording", bound_cidrs="nowhere")
    yield from bad_role(period="769h")


def role_updates(world: World) -> Iterator[Step]:
    """What a write keeps, and what it resets."""
    everything = {
        "bound_claims": {"a": "b*"},
        "bound_claims_type": "glob",
        "claim_mappings": {"x": "y"},
        "groups_claim": "g",
        "token_ttl": 60,
        "alias_metadata": {"team": "x"},
        "max_age": 5,
    }
    yield from role(**everything)
    yield put("role/dev", user_claim="email")
    yield get("role/dev")
    yield put("role/dev", role_type="jwt", token_ttl=5)
    yield get("role/dev", "alias-metadata", "200")
    yield put("role/dev", role_type="jwt", bound_audiences="", groups_claim="")
    yield get("role/dev", "alias-metadata", "200")
    yield put("role/dev", role_type="jwt", bound_claims={})
    yield get("role/dev", "alias-metadata", "200")
    yield put("role/dev", role_type="jwt", bound_claims_type="glob", bound_claims={"a": 5})
    yield put("role/dev", role_type="jwt", bound_claims={"a": 5})
    yield put(
        "role/dev", "glob", "400 claim is not a string or list: 5", role_type="jwt", bound_claims_type="glob"
    )
    yield get("role/dev", "alias-metadata", "200")
    yield put("role/dev", role_type="jwt", token_max_ttl=3)
    yield patch("role/dev", "patch", "204", token_ttl=9)
    yield delete("role/dev")
    yield get("role/dev")
    yield delete("role/dev")


def names_and_lists(world: World) -> Iterator[Step]:
    """Names of roles."""
    for name in ("dev", "Dev-Two", "a.b", "x_1", "1"):
        yield put(f"role/{name}", **GOOD)
    yield listing("role")
    yield listing("role/")
    yield get("role/DEV-TWO")
    yield get("role?list=true")
    yield get("role")
    yield put("role/-x", **GOOD)
    yield put("role/x-", **GOOD)
    yield put("role/a/b", **GOOD)
    yield put("role/a b", **GOOD)
    yield put("role/é", **GOOD)
    yield put("role/a..b", "names", "400 invalid role name", **GOOD)
    yield delete("role/a..b", "names", "400 invalid role name")
    for name in ("dev", "dev-two", "a.b", "x_1", "1", "é"):
        yield delete(f"role/{name}")
    yield listing("role")


def paths_and_operations(world: World) -> Iterator[Step]:
    """What is not there."""
    yield get("login")
    yield listing("login")
    yield delete("login")
    yield get("nothing")
    yield put("nothing", a=1)
    yield get("")
    yield get("config/more")
    yield put("role", a=1)
    yield delete("role")


def help_pages() -> Iterator[Step]:
    """What help pages say of fields."""
    for path in ("", "config", "role", "role/dev", "login", "nothing"):
        yield Step(method="GET", path=f"{path}?help=1", differs="" if path == "nothing" else "help")


def login_order(world: World) -> Iterator[Step]:
    """Which check comes first."""
    yield put("config", jwt_validation_pubkeys=world.pem)
    yield put("role/dev", **GOOD, token_policies="p", token_ttl=60)
    yield put("role/browser", user_claim="sub", allowed_redirect_uris="http://localhost:8250/oidc/callback")
    yield put("role/here", **GOOD, token_bound_cidrs="127.0.0.1")
    yield put("role/elsewhere", **GOOD, token_bound_cidrs="192.0.2.0/24")
    yield login(world.token(), keep="first")
    yield login(world.token(), role="DEV")
    yield login(world.token(), role=None)
    yield login(role=None)
    yield login(world.token(), role="")
    yield login(world.token(), role="nobody")
    yield login(world.token(), role='qu"ote')
    yield login(world.token(), role="a/b")
    yield login(world.token(), role=["dev"])
    yield login(world.token(), role={"a": 1})
    yield login(role="browser")
    yield login(world.token(), role="browser")
    yield login(role="dev")
    yield login("", role="dev")
    yield login(["x"], role="dev")
    yield login(5, "dev", "token-form", MALFORMED)
    yield login(world.token(), role="here")
    yield login(world.token(), role="elsewhere")
    yield login("junk", role="elsewhere")
    yield login("", "elsewhere", "address", "403")
    yield login(world.token(), unknown=1)
    yield login(world.token(), distributed_claim_access_token="x")
    yield Step(method="POST", path="/auth/token/renew", use="first")
    yield Step(method="POST", path="/auth/token/lookup", use="first")
    yield put("role/dev", role_type="jwt", token_ttl=90, token_max_ttl=600)
    yield Step(method="POST", path="/auth/token/renew", use="first")
    yield put("role/dev", role_type="jwt", token_policies="q")
    yield Step(method="POST", path="/auth/token/renew", use="first")
    yield delete("role/dev")
    gone = "400 role dev does not exist during renewal"
    yield Step(method="POST", path="/auth/token/renew", use="first", differs="renewal", ours=gone)
    yield Step(method="POST", path="/auth/token/revoke", use="first")
    yield put("config", jwt_validation_pubkeys=world.pem, default_role="Here")
    yield login(world.token(), role=None)
    yield login(world.token(), role="")
    yield put("config", jwt_validation_pubkeys=world.pem, default_role="gone")
    yield login(world.token(), role=None)
    yield put("config", jwt_validation_pubkeys=world.pem)
    yield put("role/dev", **GOOD)


def login_signatures(world: World) -> Iterator[Step]:
    """Form, algorithm and signature, with static keys."""
    good = world.rsa.token()
    head, body, signature = good.split(".")
    yield login(good)
    yield login(f" \n{good}\n")
    yield login(f"{head}.\n{body}.{signature}")
    yield login(world.stranger.token)
    for junk in ("junk", "a.b.c", f"{head}.{body}", f"{good}.x", f"{head}.{body}."):
        yield login(junk, "dev", "token-form", MALFORMED)
    yield login(f"{head}.{body}.{signature[:-8]}AAAAAAAA")
    no_object = base64.urlsafe_b64encode(b"[]").decode()
    yield login(f"{head}.{no_object}.{signature}", "dev", "token-form", MALFORMED)
    yield login(lambda: world.rsa.token() + "=", "dev", "token-form", MALFORMED)
    serialised = json.dumps({"payload": body, "protected": head, "signature": signature})
    yield login(serialised, "dev", "token-form", MALFORMED)
    for algorithm in ("none", "HS256"):
        header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm}).encode()).decode().rstrip("=")
        yield login(f"{header}.{body}.{signature}", "dev", "token-form", MALFORMED)
        yield login(f"{header}.{body}.", "dev", "token-form", MALFORMED)
    shared = {"sub": "alice", "aud": AUDIENCE}
    yield login(lambda: pyjwt.encode(shared, "x" * 32, algorithm="HS256"), "dev", "token-form", MALFORMED)
    for algorithm in ("RS384", "RS512", "PS256", "PS384", "PS512"):
        yield login(signed(world.rsa.key, algorithm))
    yield put("config", jwt_validation_pubkeys=world.ec.public_pem)
    yield login(world.ec.token)
    yield login(world.token())
    yield put("config", jwt_validation_pubkeys=world.pem, jwt_supported_algs="ES256,RS384")
    yield login(world.token())
    yield login(signed(world.rsa.key, "RS384"))
    edwards = ed25519.Ed25519PrivateKey.generate()
    pem = edwards.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    yield put("config", jwt_validation_pubkeys=[pem, world.pem])
    yield login(signed(edwards, "EdDSA"))
    yield login(world.token())
    yield login(signed(world.rsa.key, "RS256", crit=["exp"], exp=1), "dev", "token-form", MALFORMED)
    yield login(signed(world.rsa.key, "RS256", b64=False), "dev", "token-form", MALFORMED)
    yield login(signed(world.rsa.key, "RS256", jku="http://127.0.0.1:1/", x5u="x"))
    yield login(signed(world.rsa.key, "RS256", jwk={}), "dev", "header-keys", "200")
    yield login(signed(world.rsa.key, "RS256", kid="../../etc/passwd"))
    yield login(signed(world.rsa.key, "RS256", typ="at+jwt"))
    yield put("config", jwt_validation_pubkeys=world.pem)


def signed(key: Any, algorithm: str, /, **headers: Any) -> Callable[[], str]:
    """Return what makes a usual token with this key and algorithm."""

    def make() -> str:
        now = int(time.time())
        claims = {"iss": ISSUER, "sub": "alice", "aud": AUDIENCE, "iat": now, "exp": now + 60}
        return pyjwt.encode(claims, key, algorithm=algorithm, headers=headers)

    return make


def login_registered_claims(world: World) -> Iterator[Step]:
    """Issuer, subject, audience, and the kinds that registered claims must have."""
    yield put("config", jwt_validation_pubkeys=world.pem, bound_issuer=ISSUER)
    yield login(world.token())
    yield login(world.token(iss="https://other.example"))
    yield login(world.token(iss=f"{ISSUER}/"))
    yield login(world.token(iss=None))
    yield login(raw_claims(world, iss=5))
    yield put("config", jwt_validation_pubkeys=world.pem)
    yield login(world.token(iss=None))
    yield put("role/subject", **(GOOD | {"bound_subject": "alice"}))
    yield login(world.token(), role="subject")
    yield login(world.token(sub="Alice"), role="subject")
    yield login(world.token(sub=None), role="subject")
    yield login(world.token(aud=["x", AUDIENCE]))
    yield login(world.token(aud="Vault"))
    yield login(world.token(aud=[]))
    yield login(world.token(aud=None))
    yield put("role/open", role_type="jwt", user_claim="sub", bound_subject="alice")
    yield login(world.token(aud=None), role="open")
    yield login(world.token(aud=""), role="open")
    yield login(world.token(aud=[]), role="open")
    yield login(world.token(aud=[""]), role="open")
    yield login(world.token(), role="open")
    yield login(raw_claims(world, aud=5))
    yield login(raw_claims(world, aud=None))
    yield login(raw_claims(world, aud=[5]))
    yield login(raw_claims(world, sub=5))
    yield login(raw_claims(world, jti=5))
    yield login(raw_claims(world, exp="soon"))
    yield login(raw_claims(world, nbf=True))
    yield login(raw_claims(world, iat={}))


def raw_claims(world: World, **claims: Any) -> Callable[[], str]:
    """Return what makes a token with claims that no library would write."""

    def make() -> str:
        now = int(time.time())
        usual = {"iss": ISSUER, "sub": "alice", "aud": AUDIENCE, "iat": now, "exp": now + 60}
        return signed_payload(world.rsa.key, json.dumps(usual | claims).encode())

    return make


def signed_payload(key: rsa.RSAPrivateKey, payload: bytes) -> str:
    """Return a token with exactly this payload."""
    return pyjwt.PyJWS().encode(payload, key, algorithm="RS256", headers={"typ": "JWT"})


def login_times(world: World) -> Iterator[Step]:
    """Dates and leeways."""
    yield put("role/strict", **GOOD, clock_skew_leeway=-1, expiration_leeway=-1, not_before_leeway=-1)
    yield put("role/loose", **GOOD, clock_skew_leeway=600, expiration_leeway=600, not_before_leeway=600)
    yield login(world.dated(iat=0, nbf=0, exp=60))
    for name in ("dev", "strict", "loose"):
        yield login(world.dated(iat=-300, exp=-30), role=name)
        yield login(world.dated(iat=-3600, exp=-90), role=name)
        yield login(world.dated(iat=-3600, exp=-900), role=name)
        yield login(world.dated(nbf=30, exp=900), role=name)
        yield login(world.dated(nbf=90, exp=900), role=name)
        yield login(world.dated(nbf=900, exp=1800), role=name)
        yield login(world.dated(iat=30, nbf=0, exp=900), role=name)
        yield login(world.dated(iat=90, nbf=0, exp=900), role=name)
        yield login(world.dated(iat=90, exp=900), role=name)
        yield login(world.dated(iat=-100), role=name)
        yield login(world.dated(iat=-250), role=name)
        yield login(world.dated(nbf=-100), role=name)
        yield login(world.dated(exp=60), role=name)
        yield login(world.dated(exp=1000), role=name)
        yield login(world.dated(), role=name)
    yield login(raw_claims(world, exp=0), "dev", "zero", "400 error validating token: invalid expiration")
    yield login(
        raw_claims(world, exp=0, iat=0), "dev", "zero", "400 error validating token: invalid expiration"
    )
    yield login(raw_claims(world, exp=None, iat=None))
    yield login(raw_claims(world, exp=-1))
    yield login(raw_claims(world, exp=1e300), "dev", "wording")
    yield login(raw_claims(world, iat=time.time() - 0.5))


def login_identity(world: World) -> Iterator[Step]:
    """Name, metadata, groups."""
    yield put("role/mail", **(GOOD | {"user_claim": "email"}))
    yield login(world.token(email="a@b.test"), role="mail")
    yield login(world.token(), role="mail")
    yield login(world.token(email=5), role="mail")
    yield login(world.token(email=""), "mail", "host", "400 missing name in alias")
    yield login(world.token(email=["a"]), role="mail")
    yield put("role/deep", **(GOOD | {"user_claim": "/a/b~1c/0", "user_claim_json_pointer": True}))
    yield login(world.token(a={"b/c": ["ann"]}), role="deep")
    yield login(world.token(a="x"), role="deep")
    yield put("role/flat", **(GOOD | {"user_claim": "/a/b"}))
    yield login(raw_claims(world, **{"/a/b": "ann"}), role="flat")
    yield login(world.token(a={"b": "ann"}), role="flat")
    yield put("role/mapped", **GOOD, claim_mappings={"email": "mail", "/deep/x": "x", "none": "none"})
    yield login(world.token(email="a@b.test", deep={"x": "y"}), role="mapped")
    yield login(world.token(email=5), role="mapped")
    yield login(world.token(email=True), role="mapped")
    yield login(world.token(email=["a"]), role="mapped")
    yield login(world.token(email=""), role="mapped")
    yield put("role/groups", **GOOD, groups_claim="groups")
    yield login(world.token(groups=["a", "b", "a", ""]), role="groups")
    yield login(world.token(groups="a"), role="groups")
    yield login(world.token(groups=[]), role="groups")
    yield login(world.token(groups=5), role="groups")
    yield login(world.token(groups=True), role="groups")
    yield login(world.token(groups={"a": 1}), role="groups")
    yield login(world.token(groups=["a", 5]), role="groups")
    yield login(world.token(), role="groups")
    yield put("role/groups", role_type="jwt", groups_claim="/a/g")
    yield login(world.token(a={"g": ["x"]}), role="groups")
    yield login(world.token(a={}), role="groups")
    yield put("role/custom", **GOOD, alias_metadata={"team": "x"})
    yield login(world.token(), role="custom")
    yield put("role/big", **GOOD, claim_mappings={"big": "big"})
    yield login(world.token(big="x" * 512, sub="big1"), role="big")
    yield login(world.token(big="x" * 513, sub="big2"), "big", "alias", "200")
    yield login(world.token(big="x" * 513, sub="big1"), "big", "alias", "200")
    yield login(world.token(big="é" * 256, sub="big3"), "big")
    yield login(world.token(big="é" * 257, sub="big4"), "big", "alias", "200")


def bound(claims: dict[str, Any], kind: str = "string") -> Step:
    """Return the write of a role that binds these claims."""
    return put("role/bound", **GOOD, bound_claims=claims, bound_claims_type=kind)


def login_bound_claims(world: World) -> Iterator[Step]:
    """Bound claims: texts, and values of other kinds."""
    yield delete("role/bound")
    yield bound({"team": "a"})
    for value in ("a", "b", "A", "", ["x", "a"], [], 5, True, {"a": 1}, None):
        yield login(raw_claims(world, team=value), "bound", "wording" if isinstance(value, dict) else "")
    yield login(world.token(), role="bound")
    yield bound({"team": ["a", "b"], "other": "x"})
    yield login(world.token(team="b", other="x"), role="bound")
    yield login(world.token(team="b", other="y"), role="bound")
    yield login(world.token(team="b"), role="bound")


def login_bound_numbers(world: World) -> Iterator[Step]:
    """Bound claims: numbers and truth values, objects, and names that are pointers."""
    yield bound({"n": 5})
    for number in (5, 5.0, "5", -5, True):
        yield login(raw_claims(world, n=number), role="bound")
    no_match = '400 error validating claims: claim "n" does not match'
    yield login(raw_claims(world, n=5.9), "bound", "numbers", no_match)
    yield login(raw_claims(world, n=[5]), "bound", "numbers", "200")
    yield login(raw_claims(world, n=[5.0]), "bound", "numbers", "200")
    yield bound({"n": 5.0})
    yield login(raw_claims(world, n=5), "bound", "numbers", no_match)
    yield bound({"n": 9007199254740993})
    yield login(raw_claims(world, n=9007199254740993), role="bound")
    yield login(raw_claims(world, n=9007199254740992), "bound", "numbers", no_match)
    yield bound({"n": "5"})
    yield login(raw_claims(world, n=5), role="bound")
    yield bound({"flag": True})
    for flag in (True, False, "true", 1, [True]):
        yield login(raw_claims(world, flag=flag), role="bound")
    yield bound({"deep": {"a": 1}})
    yield login(world.token(deep="x"), "bound", "wording")
    yield bound({"/a/b": "c", "https://x.test/y": "z"})
    yield login(raw_claims(world, a={"b": "c"}, **{"https://x.test/y": "z"}), role="bound")
    yield login(raw_claims(world, a={"b": "c"}), role="bound")
    yield put("role/bound", "bounds", BINDS_NOTHING, **GOOD, bound_claims={"team": []})


def login_bound_globs(world: World) -> Iterator[Step]:
    """Bound claims: patterns, and registered claims."""
    yield bound({"team": "a*z"}, "glob")
    for text in ("az", "abcz", "abc", "xaz", "AZ", "", ["x", "a-z"], 5, [5, "az"], True):
        yield login(raw_claims(world, team=text), role="bound")
    yield bound({"team": "*"}, "glob")
    yield login(world.token(team=""), role="bound")
    yield login(world.token(team="any"), role="bound")
    yield put(
        "role/bound", "bounds", BINDS_NOTHING, **GOOD, bound_claims={"team": ""}, bound_claims_type="glob"
    )
    yield bound({"team": "a?[b]"}, "glob")
    yield login(world.token(team="a?[b]"), role="bound")
    yield login(world.token(team="axb"), role="bound")
    yield bound({"aud": AUDIENCE})
    yield login(world.token(), role="bound")
    yield bound({"iss": ISSUER, "sub": ["alice"]})
    yield login(world.token(), role="bound")


def login_tokens(world: World) -> Iterator[Step]:
    """What tokens get."""
    yield put("role/t", **GOOD, token_policies="b,a", token_ttl=60, token_max_ttl=120, token_num_uses=3)
    yield login(world.token(), role="t")
    yield put("role/t2", **GOOD, token_period=60, token_no_default_policy=True, token_policies="x")
    yield login(world.token(), role="t2", keep="periodic")
    yield Step(method="POST", path="/auth/token/lookup", use="periodic")
    yield Step(method="POST", path="/auth/token/renew", use="periodic", body={"increment": 30})
    yield put("role/t3", **GOOD, token_type="batch", token_policies="x")
    yield login(world.token(), role="t3")
    yield put("role/t4", **GOOD, token_explicit_max_ttl=90, token_type="service")
    yield login(world.token(), role="t4", keep="explicit")
    yield Step(method="POST", path="/auth/token/lookup", use="explicit")
    yield put("role/t5", **GOOD, token_bound_cidrs="127.0.0.0/8")
    yield login(world.token(), role="t5", keep="bound")
    yield Step(method="POST", path="/auth/token/lookup", use="bound")
    yield put("role/t6", "root", "400 auth methods cannot create root tokens", **GOOD, token_policies="root")
    yield login(world.token(), "t6", "root", '400 role "t6" could not be found')


def login_key_sets(world: World) -> Iterator[Step]:
    """Signatures with key sets that are fetched."""
    provider, url = world.provider, world.provider.url
    no_key = (
        "400 error validating token: error verifying token signature: failed to verify id token signature"
    )
    for config in ({"jwks_url": provider.keys_url}, {"oidc_discovery_url": url}):
        yield put("config", **config)
        yield login(world.token())
        yield login(world.ec.token)
        yield login(world.stranger.token)
        yield login(signed(world.rsa.key, "RS256"))
        yield login(signed(world.rsa.key, "RS256", kid="unknown"))
        yield login(signed(world.rsa.key, "PS256", kid=world.rsa.kid), "dev", "key-alg", no_key)
        yield login("junk")
        yield login(lambda: pyjwt.encode({"sub": "alice"}, "x" * 32, algorithm="HS256"))
        yield login(world.token(aud="x"))

    yield put("config", jwks_pairs=[{"jwks_url": f"{url}/empty"}, {"jwks_url": provider.keys_url}])
    yield login(world.token())
    yield login(world.ec.token)
    unlisted = "400 error validating token: error searching for key set with kid "
    yield login(world.stranger.token, "dev", "pairs", unlisted)
    yield login(signed(world.rsa.key, "RS256"))
    yield login(signed(world.rsa.key, "RS256", kid="unknown"), "dev", "pairs", unlisted)
    yield login("junk")
    yield login(world.token(aud="x"))

    yield put("config", oidc_discovery_url=url, oidc_client_id="id", oidc_client_secret=SECRET)
    yield login(world.token(), "dev", "client", "200")
    yield login(world.stranger.token, "dev", "client", no_key)
    yield put("config", jwt_validation_pubkeys=world.pem)
