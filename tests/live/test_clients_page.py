"""docs/clients.md: what it shows of Python and of the agent logs in at a real server."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from livebed.mounts import Mount
from livebed.processes import wait_until
from pages import apart, together
from test_jwt_clients import hvac_client

PAGE = "docs/clients.md"
AGENT_SECONDS = 20.0


def pod() -> list[dict[str, Any]]:
    """The objects for Kubernetes."""
    return list(yaml.safe_load_all(apart(PAGE, "apiVersion: v1")))


def agent_configurations() -> dict[str, str]:
    """The agent's configuration, and the one in the pod."""
    return {"agent": apart(PAGE, "auto_auth {"), "pod": pod()[0]["data"]["agent.hcl"]}


def test_hvac(mount: Mount) -> None:
    """Both functions of the page, on the same mount."""
    (block,) = together(PAGE, "python")
    functions: dict[str, Any] = {}
    exec(compile(block.text, "clients.md", "exec"), functions)
    write_role(mount)
    token = mount.issuer.token()
    mount.client.secrets.append(token)
    with hvac_client(mount.client) as client:
        client.token = None
        code = block.text.replace('path="jwt"', f'path="{mount.path}"')
        exec(compile(code, "clients.md", "exec"), functions)
        for log_in in (
            lambda: functions["log_in_with_jwt"](client, token),
            lambda: functions["log_in"](client, f"{mount.path}/login", role="ci", jwt=token),
        ):
            granted = log_in()
            mount.client.secrets.append(granted["client_token"])
            assert granted["metadata"]["role"] == "ci"
            assert client.token == granted["client_token"]


@pytest.mark.parametrize("name", ["agent", "pod"])
def test_the_agent_logs_in(name: str, mount: Mount, tmp_path: Path) -> None:
    """With files of this test in place of those of the page; the file of the JWT stays."""
    write_role(mount)
    token, sink, log = (tmp_path / f"{name}.{each}" for each in ("jwt", "token", "log"))
    token.write_text(mount.issuer.token())
    mount.client.secrets.append(token.read_text())
    shown = agent_configurations()[name]
    configured = re.sub(r'"auth/jwt"', f'"auth/{mount.path}"', shown)
    configured = re.sub(r'"/run/\w+/jwt"', f'"{token}"', configured)
    configured = re.sub(r'"/run/\w+/token"', f'"{sink}"', configured)
    config = tmp_path / f"{name}.hcl"
    config.write_text(configured)
    with log.open("w") as out:
        agent = subprocess.Popen(
            [str(mount.server.program.path), "agent", f"-config={config}"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**mount.server.environment(), "VAULT_ADDR": mount.server.address},
        )
        try:
            made = wait_until(
                lambda: sink.exists() and sink.read_text(), "the agent's token", timeout=AGENT_SECONDS
            )
        except AssertionError:
            raise AssertionError(log.read_text()) from None
        finally:
            agent.terminate()
            agent.wait(AGENT_SECONDS)
    mount.client.secrets.append(made)
    assert mount.client.write("auth/token/lookup", token=made)["data"]["meta"]["role"] == "ci"
    assert token.exists()


def test_the_pod_brings_its_parts_together() -> None:
    """Every volume is there, the agent finds its files in them, and both containers share the token."""
    config, made = pod()
    spec = made["spec"]
    (agent,), (application,) = spec["initContainers"], spec["containers"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    places = {each["name"]: each["mountPath"] for each in agent["volumeMounts"]}
    assert set(places) == set(volumes)
    assert volumes["config"]["configMap"]["name"] == config["metadata"]["name"]
    assert agent["args"][-1] == f"-config={places['config']}/{next(iter(config['data']))}"
    source = volumes["identity"]["projected"]["sources"][0]["serviceAccountToken"]
    assert f'"{places["identity"]}/{source["path"]}"' in agent_configurations()["pod"]
    sink = agent["startupProbe"]["exec"]["command"][-1]
    assert f'"{sink}"' in agent_configurations()["pod"]
    assert sink.startswith(places["token"])
    assert application["volumeMounts"][0]["mountPath"] == places["token"]
    assert agent["restartPolicy"] == "Always"


def write_role(mount: Mount) -> None:
    """The role that the page speaks of."""
    mount.client.write(
        f"auth/{mount.path}/role/ci",
        role_type="jwt",
        user_claim="sub",
        bound_audiences="vault",
        token_ttl="20m",
    )
