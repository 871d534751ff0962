"""What the JWT example has beyond the official plugin, as an operator uses it on a real server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from identity_provider import serve_provider
from livebed.authority import Authority
from livebed.client import Client, ServerError
from livebed.factories import our_plugin
from livebed.mounts import DEV_ROLE, Mount, mount_plugin
from livebed.server import Server
from livebed.tokens import Issuer

REFERENCE = re.compile(r" \(reference ([a-z2-9]{8})\)$")


@pytest.fixture
def mount(server: Server, issuer: Issuer) -> Iterator[Mount]:
    """A mount of ours."""
    plugin = our_plugin(server)
    plugin.register(server.client)
    with mount_plugin(server, plugin, issuer) as mounted:
        yield mounted


def operator(mount: Mount, *capabilities: str) -> Client:
    """Return a client that has these capabilities on everything of the mount."""
    listed = ", ".join(f'"{each}"' for each in capabilities)
    name = f"operator-{mount.path}-{len(capabilities)}"
    policy = f'path "auth/{mount.path}/*" {{ capabilities = [{listed}] }}'
    mount.client.write(f"sys/policies/acl/{name}", policy=policy)
    token = mount.client.write("auth/token/create", policies=[name])["auth"]["client_token"]
    mount.client.secrets.append(token)
    return mount.client.with_token(token)


def denied(mount: Mount, jwt: str) -> tuple[str, str]:
    """Return text and reference of a denied login."""
    with pytest.raises(ServerError) as caught:
        mount.login(jwt=jwt)
    assert caught.value.status == 400
    found = REFERENCE.search(caught.value.text)
    assert found is not None
    return caught.value.text[: found.start()], found[1]


def test_a_denied_login_is_explained_by_its_reference(mount: Mount) -> None:
    """With `sudo` an operator reads every check of it; without, nothing."""
    token = mount.issuer.token(aud="other")
    mount.client.secrets.append(token)
    text, reference = denied(mount, token)
    path = f"auth/{mount.path}/explain"

    with pytest.raises(ServerError) as caught:
        operator(mount, "read", "update").read(f"{path}/{reference}")
    assert caught.value.status == 403
    found = operator(mount, "read", "update", "sudo").read(f"{path}/{reference}")

    assert (found["error"], found["role"]) == (text, "dev")
    assert [check["name"] for check in found["checks"] if not check["passed"]] == ["aud"]
    assert found["remote_addr"] == "127.0.0.1"
    assert mount.client.raw("GET", f"{path}/abcdefgh").status_code == 404


def test_a_token_is_explained_before_anybody_uses_it(mount: Mount) -> None:
    """`explain` tells all that is wrong at once, grants nothing, and needs `sudo` too."""
    token, path = mount.issuer.token(aud="other", sub=5), f"auth/{mount.path}/explain"
    mount.client.secrets.append(token)
    with pytest.raises(ServerError) as caught:
        operator(mount, "read", "update").write(path, role="dev", jwt=token)
    assert caught.value.status == 403
    answer = operator(mount, "read", "update", "sudo").write(path, role="dev", jwt=token)
    assert answer["auth"] is None
    assert answer["data"]["allowed"] is False
    assert token not in str(answer)
    good = mount.client.write(path, role="dev", jwt=mount.issuer.token())["data"]
    assert (good["allowed"], good["error"]) == (True, "")


def test_the_command_line_shows_reference_and_explanation(mount: Mount) -> None:
    """What a person sees at the prompt leads to the reason."""
    file = mount.server.home / "expired.jwt"
    file.write_text(mount.issuer.token(iat=1, nbf=1, exp=2))
    mount.client.secrets.append(file.read_text())
    result = mount.client.run_cli("write", f"auth/{mount.path}/login", "role=dev", f"jwt=@{file}")
    assert result.returncode == 2
    found = re.search(r"token is expired \(reference (\w+)\)", result.stderr)
    assert found is not None
    shown = mount.client.cli_json("read", f"auth/{mount.path}/explain/{found[1]}")["data"]
    assert "token is expired" in shown["error"]


def test_several_issuers(mount: Mount) -> None:
    """Each signs for itself; status tells how each is doing, and how logins went."""
    client, path, other = mount.client, f"auth/{mount.path}", Issuer.ec("cloud")
    with serve_provider(other.jwk) as provider:
        mount.write_role(user_claim="{iss}|{sub}")
        client.write(f"{path}/issuer/cloud", oidc_discovery_url=provider.url)
        assert client.list(f"{path}/issuer") == ["cloud"]
        assert "invalid issuer (iss) claim" in denied(mount, other.token(iss=provider.url))[0]
        mount.write_role(user_claim="{iss}|{sub}", bound_issuers=["default", "cloud"])
        mount.login(jwt=other.token(iss=provider.url))
        mount.login()
        denied(mount, mount.issuer.token(iss=provider.url))
        denied(mount, other.token())

        status = operator(mount, "read").read(f"{path}/status")

        (source,) = status["issuers"]["issuer/cloud"]["keys"]
        assert (source["source"], source["keys"], source["last_error"]) == (provider.url, 1, "")
        assert status["logins"] == {"allowed": 2, "denied": {"issuer": 1, "signature": 2}}
        client.delete(f"{path}/issuer/cloud")
        denied(mount, other.token(iss=provider.url))


def test_a_composed_name(mount: Mount) -> None:
    """The entity's alias is made of several claims."""
    role = DEV_ROLE | {"user_claim": "{repository}:{ref}"}
    mount.client.write(f"auth/{mount.path}/role/ci", **role)
    auth = mount.login("ci", mount.issuer.token(repository="acme/shop", ref="refs/heads/main"))
    entity = mount.client.read(f"identity/entity/id/{auth['entity_id']}")
    assert entity["aliases"][0]["name"] == "acme/shop:refs/heads/main"
    with pytest.raises(ServerError, match="some text has to stand between two claims"):
        mount.client.write(f"auth/{mount.path}/role/ci", **(role | {"user_claim": "{repository}{ref}"}))


def test_a_templated_policy_and_metadata_that_is_too_long(mount: Mount) -> None:
    """A policy that needs the value grants nothing then; the login itself works."""
    client, accessor = mount.client, mount.accessor
    template = f"identity.entity.aliases.{accessor}.metadata.team"
    policy = f'path "secret/data/{{{{{template}}}}}" {{ capabilities = ["read"] }}'
    client.write(f"sys/policies/acl/team-{mount.path}", policy=policy)
    role = {"claim_mappings": {"team": "team"}, "token_policies": [f"team-{mount.path}"]}
    mount.write_role("team", **role)
    client.write("secret/data/red", data={"a": "b"})
    for team, status in (("red", 200), ("x" * 513, 403)):
        auth = mount.login("team", mount.issuer.token(team=team))
        token = client.with_token(auth["client_token"])
        assert token.raw("GET", f"secret/data/{team[:100]}").status_code == status
        assert auth["metadata"]["team"] == team


def test_groups_from_the_api_of_a_provider(mount: Mount) -> None:
    """A login is in the groups that Okta's API names; without it, it is denied. Nobody sees the key."""
    authority, key = Authority(), "wL3mB6tTqkzR9xYp"
    mount.client.secrets.append(key)
    with serve_provider(context=authority.context(days=1)) as okta:
        path = "/api/v1/users/alice/groups"
        okta.answers[path] = (200, json.dumps([{"profile": {"name": "dev"}}, {"profile": {"name": "ops"}}]))
        lookups = {"provider": "okta", "org_url": okta.url, "api_token": key, "fetch_groups": True}
        mount.configure(provider_config=lookups, oidc_discovery_ca_pem=authority.pem)
        assert key not in str(mount.client.read(f"auth/{mount.path}/config"))
        mount.write_role(groups_claim="groups", bound_claims={"groups": "ops"})
        group = mount.client.write("identity/group", name=f"dev-{mount.path}", type="external")["data"]["id"]
        mount.client.write(
            "identity/group-alias", name="dev", mount_accessor=mount.accessor, canonical_id=group
        )

        auth = mount.login()

        assert mount.client.read(f"identity/entity/id/{auth['entity_id']}")["group_ids"] == [group]
        okta.answers[path] = (500, f"a stack trace with {key}")
        text, reference = denied(mount, mount.issuer.token())
        assert text.startswith("failed to fetch groups: unable to fetch groups from Okta API: ")
        shown = mount.client.read(f"auth/{mount.path}/explain/{reference}")
        assert key not in text + str(shown)


def test_logins_while_the_configuration_changes(mount: Mount) -> None:
    """A login meets the keys of before or of after, and never a fault of the server."""
    other = Issuer.rsa("other")
    tokens = [mount.issuer.token(), other.token()]
    mount.client.secrets.extend(tokens)
    stranger = mount.client.with_token("")

    def log_in(number: int) -> int:
        request = {"role": "dev", "jwt": tokens[number % 2]}
        return stranger.raw("POST", f"auth/{mount.path}/login", request).status_code

    mount.write_role(user_claim="{iss}|{sub}")
    with ThreadPoolExecutor(8) as pool:
        logins = [pool.submit(log_in, number) for number in range(400)]
        for number in range(20):
            mount.configure(jwt_validation_pubkeys=(other, mount.issuer)[number % 2].public_pem)
            keys = {"bound_issuer": "x", "jwt_validation_pubkeys": other.public_pem}
            mount.client.write(f"auth/{mount.path}/issuer/x", **keys, clock_skew_leeway=number)
        statuses = {each.result() for each in logins}
    assert statuses == {200, 400}
    assert log_in(0) == 200
