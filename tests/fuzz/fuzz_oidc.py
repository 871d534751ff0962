"""What identity providers and people who log in send: tokens, key sets, metadata, answers, forms, states."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import unquote_plus

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fuzz_target import Fields, Taker, Target, check, joined, of_function, within
from jwt_auth import JWTAuth
from jwt_auth.browser.pending import States
from jwt_auth.browser.redirects import is_allowed, mount_of, take_namespace
from jwt_auth.browser.sealing_keys import make_login_keys
from jwt_auth_mounts import GOOD_ROLE, JWTMount

from authkit.clock import SystemClock
from authkit.errors import AuthKitError, LoginError, TokenError
from authkit.host.http.bodies import FORM, read_object
from authkit.host.messages import Failure
from authkit.logical import Operation
from authkit.oidc import StaticKeys, TokenVerifier
from authkit.oidc.client.endpoints import EndpointError
from authkit.oidc.client.responses import read_device, read_tokens
from authkit.oidc.client.userinfo import read_userinfo
from authkit.oidc.http.client import HTTPResponse
from authkit.oidc.keys.discovery import DiscoveryError, parse_metadata
from authkit.oidc.keys.jwk_set import MAX_KEYS, parse_jwks
from authkit.oidc.tokens.jws import STRICT_READER
from authkit.testing import InMemoryStorage

__all__ = ["GUIDED_BY", "TARGETS"]

GUIDED_BY = (
    "authkit.oidc",
    "authkit.json_reader",
    "authkit.host.http.bodies",
    "authkit.auth",
    "authkit.framework",
    "jwt_auth",
)
"""Whose branches guide the fuzzer: measuring all of authkit would take most of the time."""

NOW = 1_800_000_000.0
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
"""Its signatures are the same in every run, so that a corpus stays good."""
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32))
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
ISSUER = "https://idp.example"


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def make_token(key: Ed25519PrivateKey = KEY, *, header: object = None, **claims: object) -> str:
    """Return a token signed with EdDSA, good for the verifier here unless told otherwise."""
    head = {"alg": "EdDSA", "typ": "JWT"} if header is None else header
    body = {"iss": ISSUER, "sub": "ann", "aud": "vault", "iat": NOW - 10, "exp": NOW + 10**9} | claims
    signed = f"{_b64(json.dumps(head).encode())}.{_b64(json.dumps(body).encode())}"
    return f"{signed}.{_b64(key.sign(signed.encode()))}"


SIGNED = [
    make_token(),
    make_token(groups=["a"], nbf=NOW - 20),
    make_token(aud=["vault", "b"], azp="vault"),
    make_token(header={"alg": "EdDSA", "jwk": {"kty": "OKP"}}),
]
UNFIT = [
    make_token(STRANGER),
    make_token(exp=NOW - 1000),
    make_token(nbf=NOW + 1000),
    make_token(aud="other"),
    make_token(iss="https://evil.example"),
    make_token(header={"alg": "none"}),
    make_token(header={"alg": "HS256"}),
    make_token(header={"alg": "EdDSA", "crit": ["exp"], "exp": 1}),
    make_token(exp=[1], sub={"a": 1}),
    SIGNED[0].rpartition(".")[0] + ".",
]
_INPUTS = {token.rpartition(".")[0] for token in SIGNED}


def is_signed(token: str) -> bool:
    """Whether a good token with these header and claims was signed here. White space is ignored."""
    return "".join(token.split()).rpartition(".")[0] in _INPUTS


# --- tokens ------------------------------------------------------------------------------------


class Tokens(Taker):
    """A verifier, with the case as the token."""

    def __init__(self) -> None:
        self.verifier = TokenVerifier(StaticKeys.from_pem([PEM]), issuer=ISSUER, now=lambda: NOW)

    async def take(self, case: bytes) -> None:
        """Verify the case."""
        token = case.decode(errors="replace")
        try:
            claims = await within(self.verifier.verify(token, audiences=["vault"]))
        except TokenError:
            check(token not in SIGNED, "a good token was refused")
            return
        check(is_signed(token), "a token was taken that nobody signed")
        check(claims["sub"] == "ann", "other claims than those signed")


def _token_seeds() -> Iterable[bytes]:
    return (token.encode() for token in (*SIGNED, *UNFIT))


class Standing(SystemClock):
    """A clock on which the tokens here are good."""

    def now(self) -> datetime:
        """Return always the same."""
        return datetime.fromtimestamp(NOW, UTC)

    def time(self) -> float:
        """Return always the same."""
        return NOW


class Logins(Taker):
    """A mount of the method in the example, with the case as the body of a login."""

    def __init__(self) -> None:
        self.mount: JWTMount | None = None

    async def take(self, case: bytes) -> None:
        """Log in with a role and a token."""
        if self.mount is None:
            self.mount = JWTMount(JWTAuth, clock=Standing())
            await self.mount.backend.initialize()
            await self.mount.write("config", {"jwt_validation_pubkeys": PEM, "bound_issuer": ISSUER})
            await self.mount.write("role/dev", GOOD_ROLE)
        fields = Fields(case, 1)
        body: dict[str, object] = {"role": fields.text(0), "jwt": fields.text(1)}
        if fields.choices[0] & 1:
            try:
                body = STRICT_READER.read_object(fields.rest)
            except ValueError:
                return
        try:
            answer = await within(self.mount.request(Operation.UPDATE, "login", body))
        except AuthKitError:
            return
        if answer is not None and answer.auth is not None:
            token = body.get("jwt")
            check(isinstance(token, str) and is_signed(token), "a login with a token that nobody signed")
            check(str(body.get("role")).strip().lower() == "dev", "a login with another role")


def _login_seeds() -> Iterable[bytes]:
    for token in (*SIGNED, *UNFIT[:5]):
        yield joined([0], b"dev", token.encode())
        yield bytes([1]) + json.dumps({"role": "dev", "jwt": token}).encode()
    yield bytes([1]) + json.dumps({"role": ["dev"], "jwt": {"a": SIGNED[0]}}).encode()


# --- documents of a provider -------------------------------------------------------------------


async def take_key_set(case: bytes) -> None:
    """Read the case as a key set: keys that are strong enough, or a `ValueError`."""
    try:
        found = parse_jwks(case)
    except ValueError:
        return
    check(len(found.keys) <= MAX_KEYS, "too many keys")
    for key in found.keys:
        public = key.key
        if isinstance(public, RSAPublicKey):
            check(2048 <= public.key_size <= 8192 and public.public_numbers().e % 2, "a weak key")
        check(not hasattr(public, "private_numbers"), "a private key")


def _key_set_seeds() -> Iterable[bytes]:
    okp = {"kty": "OKP", "crv": "Ed25519", "x": _b64(KEY.public_key().public_bytes_raw()), "kid": "a"}
    point = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
    ec = {"kty": "EC", "crv": "P-256", "x": point[0], "y": point[1], "use": "sig", "alg": "ES256"}
    rsa = {"kty": "RSA", "e": "AQAB", "n": _b64(b"\xc5" * 255 + b"\x01"), "key_ops": ["verify"]}
    for keys in ([okp], [ec, okp], [rsa], [okp, okp], [{**ec, "d": "AA"}], [{**okp, "use": "enc"}], [1], {}):
        yield json.dumps({"keys": keys}).encode()


async def take_metadata(case: bytes) -> None:
    """Read the case as a discovery document: of the issuer and encrypted, or refused."""
    try:
        found = parse_metadata(case, issuer=ISSUER, is_https=True)
    except DiscoveryError:
        return
    check(found.issuer == ISSUER, "another issuer")
    for name in ("jwks_uri", "authorization_endpoint", "token_endpoint", "userinfo_endpoint"):
        url = getattr(found, name)
        check(not url or url.lower().startswith("https://"), f"{name} is not encrypted")
    check(found.jwks_uri, "no keys")


def _metadata_seeds() -> Iterable[bytes]:
    good = {
        "issuer": ISSUER,
        "jwks_uri": f"{ISSUER}/keys",
        "authorization_endpoint": f"{ISSUER}/authorize?a=b",
        "token_endpoint": f"{ISSUER}/token",
        "userinfo_endpoint": f"{ISSUER}/userinfo",
        "device_authorization_endpoint": f"{ISSUER}/device",
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"],
        "id_token_signing_alg_values_supported": ["RS256", "EdDSA"],
        "authorization_response_iss_parameter_supported": True,
    }
    for change in ({}, {"issuer": f"{ISSUER}/"}, {"jwks_uri": "http://idp.example/keys"}, {"jwks_uri": 1}):
        yield json.dumps(good | change).encode()
    for url in (
        "https://a@b/",
        "https://[::1]:99999/",
        "https:///x",
        "HTTPS://X",
        "https://é/#a",
        "https://x:y",
    ):
        yield json.dumps(good | {"token_endpoint": url}).encode()


class Answers(Taker):
    """Answers of a provider's endpoints: userinfo plain and signed, tokens, devices."""

    def __init__(self) -> None:
        self.keys = StaticKeys.from_pem([PEM])

    async def take(self, case: bytes) -> None:
        """Read the case as one of these answers."""
        fields = Fields(case, 1)
        if fields.choices[0] % 3 == 0:
            await self._take_userinfo(fields.rest, "application/json")
        elif fields.choices[0] % 3 == 1:
            await self._take_userinfo(fields.rest, "application/jwt")
        else:
            _take_tokens(fields.rest)

    async def _take_userinfo(self, body: bytes, content_type: str) -> None:
        response = HTTPResponse(status=200, content_type=content_type, body=body)
        reading = read_userinfo(response, self.keys, client_id="vault", algorithms=("EdDSA",), now=NOW)
        try:
            found = await within(reading)
        except TokenError:
            return
        check(isinstance(found, dict), "userinfo that is no object")
        if content_type == "application/jwt":
            signed = "".join(body.decode(errors="replace").split()).rpartition(".")[0]
            check(signed in {token.rpartition(".")[0] for token in (*SIGNED, *UNFIT)}, "unsigned userinfo")


def _take_tokens(body: bytes) -> None:
    try:
        content = STRICT_READER.read_object(body)
    except ValueError:
        return
    try:
        tokens = read_tokens(content, "code")
    except EndpointError:
        pass
    else:
        check(tokens.access_token.reveal() and tokens.expires_in >= 0, "no access token")
    try:
        device = read_device(content)
    except ValueError:
        return
    check(device.interval > 0 and device.user_code.isprintable(), "a device login that cannot be shown")


def _answer_seeds() -> Iterable[bytes]:
    yield bytes([0]) + b'{"sub":"ann","groups":["a"]}'
    for token in (*SIGNED, *UNFIT):
        yield bytes([1]) + token.encode()
    tokens = {"access_token": "a", "id_token": "b", "refresh_token": "c", "expires_in": 3600}
    device = {"device_code": "d", "user_code": "u", "verification_uri": "https://x/", "interval": 5}
    for content in (tokens, device, tokens | {"expires_in": -1}, device | {"interval": 1e400}):
        yield bytes([2]) + json.dumps(content).encode()


# --- browsers ----------------------------------------------------------------------------------

ALLOWED = ("http://localhost:8250/oidc/callback", "https://vault.example/ui/vault/auth/jwt/oidc/callback")

IS_ALLOWED = re.compile(
    r"(?i:http://localhost)(:[0-9]*)?/oidc/callback\??#?"
    r"|(?i:https://vault\.example):?/ui/vault/auth/jwt/oidc/callback\??#?"
)
"""The same in the eyes of a browser; at a loopback address with any port."""


async def take_form(case: bytes) -> None:
    """Read the case as a body of a request, and as a redirect URI."""
    fields = Fields(case, 1)
    try:
        found = read_object(fields.rest, FORM if fields.choices[0] & 1 else "application/json")
    except Failure as failure:
        check(failure.status in (400, 500), "a refusal that is none")
        found = None
    check(found is None or isinstance(found, dict), "a body that is no object")
    uri = fields.rest.decode(errors="replace")
    if fields.choices[0] & 1:
        uri = unquote_plus(uri)
    if is_allowed(uri, ALLOWED):
        check(IS_ALLOWED.fullmatch(uri), f"{uri!r} was allowed")
        check("\n" not in uri and "\\" not in uri, "a URI that browsers read otherwise")
    take_namespace(uri)
    mount_of(uri)


def _form_seeds() -> Iterable[bytes]:
    for body in (b"role=dev&jwt=a.b.c", b"state=st_x&code=y&code=z", b"a=%zz", b"a;b", b"=", b"a=%00%ff&&"):
        yield b"\x01" + body
    for body in (b'{"role":"dev","jwt":"a"}', b'{"a":1,"a":2}', b"[", b"\xef\xbb\xbfnull", b"1e999"):
        yield b"\x00" + body
    for uri in (
        *ALLOWED,
        "http://127.0.0.1:1/oidc/callback?namespace=a",
        "http://localhost@evil/oidc/callback",
    ):
        yield b"\x00" + uri.encode()


class SealedStates(Taker):
    """States of a mount, with the case as the state or as a change of one."""

    def __init__(self) -> None:
        self.now = NOW
        keys = make_login_keys(InMemoryStorage(), "mount", lambda: self.now)
        self.states = States(keys, lambda: self.now)
        self.sealed: list[str] = []

    async def take(self, case: bytes) -> None:
        """Open it: only what was sealed here opens."""
        if not self.sealed:
            for role in ("dev", "web"):
                pending = self.states.begin(role, "terms", redirect_uri=ALLOWED[0])
                self.sealed.append(await self.states.close(pending))
        fields = Fields(case, 4)
        text = fields.rest.decode(errors="replace")
        sealed = self.sealed[fields.choices[0] & 1]
        if fields.choices[0] & 2:
            start, length = fields.choices[1] * 2, fields.choices[2]
            text = sealed[:start] + text + sealed[start + length :]
        try:
            pending = await within(self.states.open(text))
        except LoginError:
            check(text not in self.sealed, "a good state was refused")
            return
        check(text in self.sealed, "a state was opened that nobody sealed")
        check(pending.role in ("dev", "web"), "another role")


def _state_seeds() -> Iterable[bytes]:
    yield joined([2, 0, 0, 0], b"")
    yield joined([3, 10, 1, 0], b"A")
    yield joined([2, 255, 0, 0], b"A")
    yield joined([0, 0, 0, 0], b"st_" + b"A" * 200)


TARGETS = [
    Target("tokens", "tokens, at the verifier", Tokens, _token_seeds),
    Target("logins", "bodies of logins, at a mount of the JWT example", Logins, _login_seeds),
    Target("key_sets", "key sets of a provider", of_function(take_key_set), _key_set_seeds),
    Target("metadata", "discovery documents", of_function(take_metadata), _metadata_seeds),
    Target("answers", "userinfo, plain and signed; answers with tokens", Answers, _answer_seeds),
    Target("forms", "bodies of requests, redirect URIs", of_function(take_form), _form_seeds),
    Target("states", "states of browser logins", SealedStates, _state_seeds),
]
