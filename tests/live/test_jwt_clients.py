"""The clients of the official JWT plugin do not notice which plugin serves them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from livebed.hvac_client import hvac_client
from livebed.mounts import Mount
from livebed.processes import wait_until
from livebed.server import Server
from livebed.tokens import AUDIENCE, ISSUER

AGENT_SECONDS = 20.0


# --- Terraform ---------------------------------------------------------------------------------------


def test_no_drift_of_the_configuration(mount: Mount) -> None:
    """What Terraform's provider reads after a write is what it wrote, and defaults for the rest."""
    client, path = mount.client, f"auth/{mount.path}/config"
    written = {
        "bound_issuer": ISSUER,
        "default_role": "dev",
        "jwt_supported_algs": ["RS256", "ES256"],
        "jwt_validation_pubkeys": [mount.issuer.public_pem.strip()],
        "namespace_in_state": True,
        "oidc_response_mode": "",
        "oidc_response_types": [],
        "provider_config": {},
    }
    defaults: dict[str, Any] = {
        "jwks_ca_pem": "",
        "jwks_pairs": [],
        "jwks_url": "",
        "oidc_client_id": "",
        "oidc_discovery_ca_pem": "",
        "oidc_discovery_url": "",
        "unsupported_critical_cert_extensions": [],
    }
    if not mount.is_peer:
        defaults |= {"oidc_client_authentication": "", "allow_plaintext_key_sources": False}
    for _ in range(2):
        client.write(path, **written)
        assert client.read(path) == written | defaults
    changed = written | {"default_role": "", "jwt_supported_algs": []}
    client.write(path, **changed)
    assert client.read(path) == changed | defaults


def test_no_drift_of_roles(mount: Mount) -> None:
    """The same for roles: every field comes back as it was written, what was left out as it was before."""
    client, path = mount.client, f"auth/{mount.path}/role/tf"
    written = {
        "role_type": "jwt",
        "user_claim": "sub",
        "user_claim_json_pointer": False,
        "bound_audiences": [AUDIENCE],
        "bound_claims": {"team": ["a", "b"]},
        "bound_claims_type": "glob",
        "bound_subject": "",
        "claim_mappings": {"mail": "email"},
        "groups_claim": "groups",
        "oidc_scopes": [],
        "allowed_redirect_uris": [],
        "clock_skew_leeway": 0,
        "expiration_leeway": 0,
        "not_before_leeway": 0,
        "max_age": 0,
        "verbose_oidc_logging": False,
        "token_policies": ["default", "dev"],
        "token_ttl": 3600,
        "token_bound_cidrs": ["127.0.0.1"],
    }
    defaults = {
        "alias_metadata": {},
        "token_explicit_max_ttl": 0,
        "token_max_ttl": 0,
        "token_no_default_policy": False,
        "token_num_uses": 0,
        "token_period": 0,
        "token_type": "default",
    }
    for _ in range(2):
        client.write(path, **written)
        assert {name: client.read(path)[name] for name in written | defaults} == written | defaults
    client.write(path, role_type="jwt", bound_claims_type="glob", token_ttl=60)
    expected = written | defaults | {"token_ttl": 60}
    assert {name: client.read(path)[name] for name in expected} == expected
    client.delete(path)
    assert client.raw("GET", path).status_code == httpx.codes.NOT_FOUND


# --- hvac --------------------------------------------------------------------------------------------


def test_hvac(mount: Mount) -> None:
    """The Python client's JWT methods: configure, role, list, login, delete."""
    with hvac_client(mount.client) as client:
        jwt, path = client.auth.jwt, mount.path
        jwt.configure(jwt_validation_pubkeys=mount.issuer.public_pem, bound_issuer=ISSUER, path=path)
        assert jwt.read_config(path=path)["data"]["bound_issuer"] == ISSUER
        jwt.create_role(
            name="py",
            role_type="jwt",
            user_claim="sub",
            allowed_redirect_uris=[],
            bound_audiences=[AUDIENCE],
            token_policies=["default"],
            path=path,
        )
        assert jwt.read_role(name="py", path=path)["data"]["user_claim"] == "sub"
        assert jwt.list_roles(path=path)["data"]["keys"] == ["dev", "py"]
        token = mount.issuer.token()
        mount.client.secrets.append(token)
        auth = jwt.jwt_login(role="py", jwt=token, path=path)["auth"]
        mount.client.secrets.append(auth["client_token"])
        assert auth["metadata"] == {"role": "py"}
        assert client.is_authenticated()
        client.token = mount.client.token
        jwt.delete_role(name="py", path=path)
        assert jwt.list_roles(path=path)["data"]["keys"] == ["dev"]


# --- Vault Agent -------------------------------------------------------------------------------------


def test_agent_logs_in_again_when_its_file_changes(mount: Mount) -> None:
    """Auto-auth reads a JWT from a file, newline included, and logs in anew with what is put there later."""
    server, folder = mount.server, mount.server.home
    file, sink = folder / "agent.jwt", folder / "agent.token"
    file.write_text(mount.issuer.token(sub="first") + "\n")
    with agent(server, mount.path, file, sink):
        first = wait_for_owner(mount, sink, "first")
        replacement = folder / "agent.next"
        replacement.write_text(mount.issuer.token(sub="second") + "\n")
        replacement.rename(file)
        second = wait_for_owner(mount, sink, "second")
    assert first != second
    mount.client.secrets.extend((first, second))


@contextmanager
def agent(server: Server, path: str, file: Path, sink: Path) -> Iterator[None]:
    """Run an agent whose token is in `sink`."""
    config = server.home / "agent.hcl"
    config.write_text(f"""
        vault {{ address = "{server.address}" }}
        auto_auth {{
          enable_reauth_on_new_credentials = true
          method "jwt" {{
            mount_path  = "auth/{path}"
            min_backoff = "1s"
            config = {{
              path                     = "{file}"
              role                     = "dev"
              remove_jwt_after_reading = false
              jwt_read_period          = "200ms"
            }}
          }}
          sink "file" {{ config = {{ path = "{sink}" }} }}
        }}
    """)
    log = (server.home / "agent.log").open("w")
    with log:
        process = subprocess.Popen(
            [str(server.program.path), "agent", f"-config={config}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=server.environment(),
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(AGENT_SECONDS)


def wait_for_owner(mount: Mount, sink: Path, name: str) -> str:
    """Return the agent's token once it belongs to that name."""

    def owned() -> str:
        token = sink.read_text() if sink.exists() else ""
        known = mount.client.raw("POST", "auth/token/lookup", {"token": token}) if token else None
        if known is None or not known.is_success:
            return ""
        return token if known.json()["data"]["display_name"] == f"{mount.path}-{name}" else ""

    return wait_until(owned, f"the agent's login as {name}", timeout=AGENT_SECONDS)
