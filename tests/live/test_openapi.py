"""Help and OpenAPI on a real server: the merged document has our operations, whole and valid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from livebed.factories import our_plugin
from livebed.mounts import Mount, mount_plugin
from livebed.server import Server
from livebed.tokens import Issuer
from openapi_spec_validator import OpenAPIV30SpecValidator


@pytest.fixture
def ours(server: Server, issuer: Issuer) -> Iterator[Mount]:
    """A mount of our JWT plugin."""
    plugin = our_plugin(server)
    plugin.register(server.client)
    with mount_plugin(server, plugin, issuer) as mounted:
        yield mounted


def body(item: dict[str, Any], method: str = "post") -> dict[str, Any]:
    """The schema of a request body."""
    (content,) = item[method]["requestBody"]["content"].values()
    schema: dict[str, Any] = content["schema"]
    return schema


def test_merged_document(ours: Mount) -> None:
    """The server's document has each path of the mount, with schemas that say something."""
    document = ours.client.call("GET", "sys/internal/specs/openapi")

    prefix = f"/auth/{ours.path}/"
    paths = {path: item for path, item in document["paths"].items() if path.startswith(prefix)}
    login = paths[f"{prefix}login"]
    assert login["x-vault-unauthenticated"] is True
    assert {"jwt", "role"} <= body(login)["properties"].keys()
    assert login["post"]["tags"] == ["auth"]
    role = paths[f"{prefix}role/{{name}}"]
    assert {"get", "post", "delete"} <= role.keys()
    assert role["x-vault-createSupported"] is True
    assert body(role)["properties"]["token_ttl"]["type"] == "string"
    assert body(role)["properties"]["token_ttl"]["format"] == "duration"
    assert body(role)["properties"]["token_policies"]["items"] == {"type": "string"}
    config = paths[f"{prefix}config"]
    assert {"get", "post"} <= config.keys()
    assert "jwt_validation_pubkeys" in body(config)["properties"]
    listing = paths[f"{prefix}role/"]["get"]
    assert {each["name"] for each in listing["parameters"]} >= {"list"}
    assert listing["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["keys"]

    # Every operation of the mount has an id of its own, and what the server leaves of ours is valid.
    described = [each for item in paths.values() for each in item.values() if isinstance(each, dict)]
    ids = [operation["operationId"] for operation in described]
    assert len(ids) == len(set(ids)) >= 6
    part = {key: document[key] for key in ("openapi", "info")} | {"paths": paths}
    assert [error.message for error in OpenAPIV30SpecValidator(part).iter_errors()] == []


def test_help(ours: Mount) -> None:
    """The command line shows the pages of the backend and of a path; each has its own valid document."""
    root = ours.client.cli("path-help", f"auth/{ours.path}")
    assert "## PATHS" in root
    assert r"^role/(?P<name>" in root
    page = ours.client.cli("path-help", f"auth/{ours.path}/role/dev")
    assert page.startswith("Request:        role/dev\n")
    assert "token_ttl (duration (sec))" in page

    answer = ours.client.call("GET", f"auth/{ours.path}/role/dev", params={"help": "1"})

    assert answer["openapi"]["info"]["version"].startswith(("1.", "2."))
    assert list(answer["openapi"]["paths"]) == ["/role/{name}"]
    assert [error.message for error in OpenAPIV30SpecValidator(answer["openapi"]).iter_errors()] == []
