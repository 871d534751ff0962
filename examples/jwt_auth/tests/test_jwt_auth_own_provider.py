"""A provider that somebody else wrote: the plugin of docs/howto-jwt-provider.md, on every way in."""

from __future__ import annotations

import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from acme_directory import DIRECTORY_TOKEN, AcmeDirectory, read_plugin
from factories import FakeClock
from faulty_provider import FaultyProvider
from identity_provider import serve
from jwt_auth import ConfiguredProvider, JWTAuth
from jwt_auth.browser.logins import BrowserLogins
from jwt_auth_keys import make_token, public_pem
from jwt_auth_mounts import GOOD_ROLE, JWTMount
from oidc_factories import private_pem
from oidc_provider import certificate
from test_jwt_auth_browser import CALLBACK, Browser

from authkit import Model, Secret, Str, field
from authkit.errors import LogicalError, LoginError, UserError
from authkit.logical import Auth, Operation

CA_PEM = certificate("ca", "ca", "rsa", "rsa", is_ca=True)


@pytest.fixture(scope="module")
def plugin() -> Iterator[ModuleType]:
    """The code of the page."""
    module = ModuleType("acme_jwt")
    sys.modules[module.__name__] = module
    exec(compile(read_plugin(), "docs/howto-jwt-provider.md", "exec"), vars(module))
    yield module
    del sys.modules[module.__name__]


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[AcmeDirectory]:
    """A directory that knows ann."""
    chain = tmp_path / "server.pem"
    chain.write_text(certificate("server", "ca", "p256", "rsa", is_ca=False) + private_pem("p256"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    with serve(AcmeDirectory(), context=context) as directory:
        directory.people["ann"] = {"groups": ["smiths", "cooks"], "department": "kitchen"}
        yield directory


class AcmeBrowser(Browser):
    """A mount of the plugin, and somebody with a browser."""

    def __init__(self, mount: JWTMount, idp: FaultyProvider, directory: AcmeDirectory) -> None:
        super().__init__(mount, idp)
        self.directory = directory

    @property
    def settings(self) -> dict[str, Any]:
        """What an operator writes as `provider_config`."""
        return {
            "provider": "acme",
            "directory_url": self.directory.url,
            "directory_token": DIRECTORY_TOKEN,
            "group_prefix": "acme-",
        }

    async def configure(self, **config: Any) -> None:
        """Write a configuration with the provider."""
        ours = {"oidc_discovery_ca_pem": CA_PEM, "provider_config": self.settings}
        await super().configure(**(ours | config))

    async def write_role(self, **fields: Any) -> None:
        """Write the role `web`, with groups and the department."""
        looked_up = {"groups_claim": "groups", "claim_mappings": {"department": "department"}}
        await super().write_role(**(looked_up | fields))


@pytest.fixture
async def acme(
    plugin: ModuleType, idp: FaultyProvider, directory: AcmeDirectory
) -> AsyncIterator[AcmeBrowser]:
    """A mount of the plugin, configured."""
    mount: JWTMount = JWTMount(plugin.AcmeJWT)
    await mount.backend.initialize()
    browser = AcmeBrowser(mount, idp, directory)
    await browser.configure()
    await browser.write_role()
    yield browser
    await mount.backend.cleanup()


def groups_of(auth: Auth | None) -> list[str]:
    """Return the names of the groups."""
    assert auth is not None
    return [each.name for each in auth.group_aliases]


# --- the ways in -------------------------------------------------------------------------------


async def test_a_login_with_a_token(acme: AcmeBrowser) -> None:
    """Groups and user info come from the directory; claims that were verified stay the token's."""
    keys = {"oidc_discovery_url": "", "jwt_validation_pubkeys": public_pem(), "oidc_client_id": ""}
    await acme.configure(**keys, oidc_client_secret="")
    looked_up = {"groups_claim": "groups", "claim_mappings": {"department": "department"}}
    bound = {"bound_claims": {"groups": "acme-cooks", "department": "kitchen"}}
    await acme.mount.write_role(**GOOD_ROLE, **looked_up, **bound)
    auth = await acme.mount.login(role="dev", jwt=make_token(sub="ann", groups=["of-the-token"]))
    assert groups_of(auth) == ["acme-smiths", "acme-cooks"]
    assert auth.metadata["department"] == "kitchen"


async def test_a_login_in_a_browser_and_its_renewal(acme: AcmeBrowser) -> None:
    """A renewal has the groups of then, and ends with the directory's record."""
    await acme.write_role(renew_at_provider=True)
    auth = await acme.log_in()
    assert groups_of(auth) == ["acme-smiths", "acme-cooks"]
    assert auth.metadata["department"] == "kitchen"
    acme.directory.people["ann"] = {"groups": ["bakers"], "department": "bakery"}
    renewed = await acme.mount.renew(auth)
    assert groups_of(renewed) == ["acme-bakers"]
    del acme.directory.people["ann"]
    with pytest.raises(UserError, match=r"^not renewed at the provider: unable to ask Acme's directory: 404"):
        await acme.mount.renew(renewed)


async def test_a_login_on_a_device(acme: AcmeBrowser) -> None:
    """As in a browser."""
    backend = acme.mount.backend
    backend.browser = BrowserLogins(acme.mount.storage, backend.mount_id, clock=FakeClock())
    await acme.write_role(callback_mode="device")
    begun = await acme.begin("")
    acme.idp.approve_devices()
    answer = await acme.mount.write("oidc/poll", state=begun["state"], client_nonce="n")
    assert answer is not None
    assert groups_of(answer.auth) == ["acme-smiths", "acme-cooks"]


# --- failures ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("people", "text"),
    [
        ({}, "unable to ask Acme's directory: 404 Not Found"),
        ({"ann": []}, "unable to ask Acme's directory: an answer without groups and department"),
        (
            {"ann": {"groups": "ops", "department": "kitchen"}},
            "unable to ask Acme's directory: groups that are not a list",
        ),
    ],
)
async def test_a_lookup_that_fails(acme: AcmeBrowser, people: dict[str, Any], text: str) -> None:
    """Denies the login. What the directory sent is for operators, without the token."""
    acme.directory.people = people
    with pytest.raises(LoginError) as caught:
        await acme.log_in()
    said, _, reference = caught.value.public.partition(" (reference ")
    assert said == text
    denial = await acme.mount.read(f"explain/{reference.rstrip(')')}")
    assert denial is not None
    assert ("nobody is called ann" in denial["detail"]) is not people
    assert DIRECTORY_TOKEN not in f"{denial} {caught.value.detail}"


# --- its settings ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"directory_url": None}, 'error initializing "acme" provider_config: missing directory_url'),
        ({"directory_token": None}, 'error initializing "acme" provider_config: missing directory_token'),
        (
            {"directory_url": "http://people.acme.example"},
            "error initializing \"acme\" provider_config: 'directory_url' must be an https URL",
        ),
        ({"directory_url": "people"}, 'error initializing "acme" provider_config: '),
        (
            {"group_prefix": 5},
            "error initializing \"acme\" provider_config: 1 error(s) decoding:\n\n* 'group_prefix' expected ",
        ),
        ({"directory_tokn": DIRECTORY_TOKEN}, "provider 'acme' has no setting 'directory_tokn'"),
        ({"org_url": "https://okta.test"}, "provider 'acme' has no setting 'org_url'"),
    ],
    ids=str,
)
async def test_settings_are_checked(acme: AcmeBrowser, change: dict[str, Any], text: str) -> None:
    """When they are written; no value is repeated."""
    with pytest.raises(UserError) as caught:
        await acme.configure(provider_config=acme.settings | change)
    assert str(caught.value).startswith(f"invalid provider_config: {text}")
    assert DIRECTORY_TOKEN not in str(caught.value)


async def patch(acme: AcmeBrowser, **fields: Any) -> None:
    """Patch the configuration."""
    await acme.mount.request(Operation.PATCH, "config", fields)


async def test_a_secret_setting_is_not_shown(acme: AcmeBrowser) -> None:
    """All others are."""
    found = await acme.mount.read("config")
    assert found is not None
    shown = {name: value for name, value in acme.settings.items() if name != "directory_token"}
    assert found["provider_config"] == shown


async def test_attack_a_changed_destination_keeps_the_secret(acme: AcmeBrowser) -> None:
    """Whoever may patch the configuration would have it sent to a server of their own."""
    for fields in (
        {"provider_config": {"directory_url": "https://evil.test"}},
        {"oidc_discovery_ca_pem": "", "oidc_client_secret": acme.idp.client_secret},
    ):
        with pytest.raises(UserError, match=r"^'provider_config.directory_token' must be sent again"):
            await patch(acme, **fields)
    await patch(acme, provider_config={"group_prefix": "x-"})
    assert groups_of(await acme.log_in()) == ["x-smiths", "x-cooks"]


async def test_attack_another_provider_shows_the_secret(acme: AcmeBrowser) -> None:
    """It is dropped with the name of its provider."""
    await patch(acme, provider_config={"provider": "azure"})
    entry = await acme.mount.storage.get("config")
    assert entry is not None
    assert DIRECTORY_TOKEN.encode() not in entry.value


async def test_a_rotated_secret_ends_no_login_that_has_begun(acme: AcmeBrowser) -> None:
    """Another directory does."""
    begun = await acme.begin(CALLBACK)
    await patch(acme, provider_config={"directory_token": DIRECTORY_TOKEN})
    back = acme.idp.log_in(begun["auth_url"])
    assert (await acme.come_back(back)).auth
    begun = await acme.begin(CALLBACK)
    await patch(acme, provider_config={"group_prefix": "other-"})
    with pytest.raises(LoginError, match="has changed since this login began"):
        await acme.come_back(acme.idp.log_in(begun["auth_url"]))


# --- other classes -----------------------------------------------------------------------------


async def test_the_plain_method_does_not_know_it(bare: JWTMount, acme: AcmeBrowser) -> None:
    """Both are in one process."""
    with pytest.raises(LogicalError, match='provider "acme" not found in custom providers'):
        await bare.configure(provider_config=acme.settings)


async def test_built_in_providers_stay(acme: AcmeBrowser) -> None:
    """The subclass knows one more."""
    await acme.configure(provider_config={"provider": "secureauth"})
    assert await acme.log_in()


class OpenSettings(Model):
    """Settings that contradict those of other providers."""

    api_token: Str = field(default="")


class NamingSettings(Model):
    """Settings that hide the name of the provider."""

    provider: Str = field(default="")


class LooseSettings(Model):
    """A secret without a declared destination."""

    place: Str = field(default="")
    token: Secret = field(default="")


@pytest.mark.parametrize("model", [OpenSettings, NamingSettings], ids=lambda model: model.__name__)
def test_attack_settings_that_would_be_shown(model: type[Model]) -> None:
    """What is secret for one provider must not be shown because another has a setting of that name."""
    provider = type("Careless", (ConfiguredProvider,), {"model": model})
    with pytest.raises(TypeError, match=r"api_token|names the provider"):

        class Careless(JWTAuth, name="careless", providers={"careless": provider}):
            """A careless method."""


def test_two_providers_of_one_name() -> None:
    """A built-in one is not replaced unnoticed."""
    provider = type("Mine", (ConfiguredProvider,), {"model": LooseSettings})
    with pytest.raises(TypeError, match="there is a provider 'okta' already"):

        class Careless(JWTAuth, name="careless", providers={"okta": provider}):
            """A careless method."""


async def test_a_secret_without_a_destination_goes_to_all_settings() -> None:
    """Every change of a shown one asks for it again."""

    class Loose(JWTAuth, name="loose", providers={"loose": type("L", (LooseProvider,), {})}):
        """A careless method."""

    mount = JWTMount(Loose)
    await mount.configure(provider_config={"provider": "loose", "place": "a", "token": DIRECTORY_TOKEN})
    with pytest.raises(UserError, match=r"^'provider_config.token' must be sent again"):
        await mount.request(Operation.PATCH, "config", {"provider_config": {"place": "b"}})
    await mount.backend.cleanup()


class LooseProvider(ConfiguredProvider[LooseSettings]):
    """A provider of those settings."""
