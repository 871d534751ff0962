"""Corners of the API that a shared server cannot show: lists of everything, documents, the host itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator
from shared_pin import SharedPIN

from authkit.testing import Simulator


@pytest.fixture
async def vault() -> AsyncIterator[Simulator]:
    """A host with the example's method and the team `dev`."""
    async with Simulator(SharedPIN) as running:
        await running.write("role/dev", pin="1234", token_ttl="1h")
        yield running


async def data_of(vault: Simulator, method: str, path: str, body: Any = None, **options: Any) -> Any:
    """The data of an answer that succeeds."""
    return (await vault.call(method, path, body, **options)).verified().data


async def test_lists_of_the_identity(vault: Simulator) -> None:
    """Ids and names of entities, groups and their aliases, with what is known of each."""
    for path in ("entity/id", "entity/name", "entity-alias/id", "group/id", "group/name", "group-alias/id"):
        assert (await vault.call("LIST", f"identity/{path}")).status == 404
    token = await vault.login(role="dev", member="ann", pin="1234")
    group = await vault.map_group("devs", policies=["x"])
    assert (await data_of(vault, "LIST", "identity/entity/id"))["keys"] == [token.entity_id]
    info = (await data_of(vault, "LIST", "identity/entity/id"))["key_info"][token.entity_id]
    assert info["aliases"][0]["mount_path"] == "auth/shared_pin/"
    assert token.entity is not None
    assert (await data_of(vault, "LIST", "identity/entity/name"))["keys"] == [token.entity.name]
    (alias,) = (await data_of(vault, "LIST", "identity/entity-alias/id"))["key_info"].values()
    assert (alias["name"], alias["canonical_id"]) == ("dev/ann", token.entity_id)
    assert (await data_of(vault, "LIST", "identity/group/id"))["keys"] == [group]
    assert (await data_of(vault, "LIST", "identity/group/name"))["keys"] == ["shared_pin-devs"]
    (mapped,) = (await data_of(vault, "LIST", "identity/group-alias/id"))["key_info"].values()
    assert (mapped["name"], mapped["canonical_id"]) == ("devs", group)


async def test_a_deleted_group_is_in_no_other(vault: Simulator) -> None:
    """Nor do its members have its policies any more."""
    token = await vault.login(role="dev", member="ann", pin="1234")
    members = {"member_entity_ids": [token.entity_id], "policies": ["inner"]}
    inner = (await data_of(vault, "POST", "identity/group", {"name": "inner", **members}))["id"]
    await vault.call(
        "POST", "identity/group", {"name": "outer", "policies": ["outer"], "member_group_ids": [inner]}
    )
    assert (await vault.login(role="dev", member="ann", pin="1234")).identity_policies == ("inner", "outer")
    await vault.call("DELETE", f"identity/group/id/{inner}")
    assert (await vault.login(role="dev", member="ann", pin="1234")).identity_policies == ()
    assert (await data_of(vault, "GET", "identity/group/name/outer"))["member_group_ids"] is None


async def test_lists_of_the_host(vault: Simulator) -> None:
    """Mounts, plugins, policies, accessors, leases."""
    assert {"sys/", "identity/"} <= (await data_of(vault, "GET", "sys/mounts")).keys()
    assert (await data_of(vault, "GET", "sys/mounts/sys"))["type"] == "system"
    assert (await vault.call("GET", "sys/mounts/none")).errors == ("No secret engine mount at none/",)
    assert (await data_of(vault, "LIST", "sys/plugins/catalog/auth"))["keys"] == ["shared_pin"]
    assert (await vault.call("LIST", "sys/plugins/catalog/secret")).status == 404
    (entry,) = (await data_of(vault, "GET", "sys/plugins/catalog"))["detailed"]
    assert (entry["name"], entry["builtin"], entry["version"]) == ("shared_pin", False, "v0.1.0")
    assert (await data_of(vault, "LIST", "sys/policies/acl"))["keys"] == ["default", "root"]
    token = await vault.login(role="dev", member="ann", pin="1234")
    assert token.accessor in (await data_of(vault, "LIST", "auth/token/accessors"))["keys"]
    assert (await data_of(vault, "LIST", "sys/leases/lookup/auth"))["keys"] == ["shared_pin/", "token/"]
    assert (await data_of(vault, "GET", "sys/ha-status"))["nodes"][0]["active_node"] is True
    assert await data_of(vault, "GET", "sys/replication/status") == {"mode": "disabled"}


async def test_a_standby_is_no_healthy_node(vault: Simulator) -> None:
    """Unless a load balancer says that it will do."""
    assert (await vault.call("GET", "sys/health")).status == 200
    assert (await vault.call("GET", "sys/health", query={"activecode": "299"})).status == 299
    vault.standby()
    assert (await vault.call("GET", "sys/health")).status == 429
    assert (await vault.call("GET", "sys/health", query={"standbycode": "473"})).status == 473
    assert (await vault.call("GET", "sys/health", query={"standbyok": "true"})).status == 200
    assert (await vault.call("POST", "sys/health", {})).status == 405


async def test_the_merged_document_is_valid(vault: Simulator) -> None:
    """Every path of every mount, each operation with an id of its own; strangers see nothing of it."""
    document = await vault.openapi()
    assert [error.message for error in OpenAPIV30SpecValidator(dict(document)).iter_errors()] == []
    assert {"/auth/shared_pin/login", "/auth/token/lookup-self", "/sys/auth/{path}"} <= document[
        "paths"
    ].keys()
    stranger = await vault.call("GET", "sys/internal/specs/openapi", token=None)
    assert stranger.body["paths"] == {}
    await vault.tune(listing_visibility="unauth")
    seen = (await vault.call("GET", "sys/internal/specs/openapi", token=None)).body["paths"]
    assert all(path.startswith("/auth/shared_pin/") for path in seen)
    assert seen


async def test_the_document_with_names_for_mounts(vault: Simulator) -> None:
    """For generators of code: the mount is a parameter."""
    query = {"generic_mount_paths": "true"}
    paths = (await vault.call("GET", "sys/internal/specs/openapi", query=query)).body["paths"]
    item = paths["/auth/{shared_pin_mount_path}/login"]
    (parameter,) = item["parameters"]
    assert parameter["schema"] == {"type": "string", "default": "shared_pin"}


MOUNT, CREATE, ENTRY = "sys/auth/x", "auth/token/create", "sys/plugins/catalog/auth/x"


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        (MOUNT, {"type": "plugin"}, "plugin_name must be provided"),
        (MOUNT, {"type": "shared_pin", "config": 5}, "expected a map"),
        (
            MOUNT,
            {"type": "shared_pin", "config": {"default_lease_ttl": "1000h"}},
            "system max",
        ),
        (
            MOUNT,
            {"type": "shared_pin", "config": {"max_lease_ttl": "x"}},
            "unable to parse max",
        ),
        (MOUNT, {"type": ["a"]}, "expected text"),
        (MOUNT, {"type": "shared_pin", "local": "perhaps"}, "expected true or false"),
        (CREATE, {"num_uses": "many"}, "expected an integer"),
        (CREATE, {"policies": {"a": 1}}, "expected text"),
        (CREATE, {"meta": ["novalue"]}, "a list of key=value"),
        (ENTRY, {"sha256": "aab", "command": "x"}, "odd length hex string"),
        (
            ENTRY,
            {"sha256": "aa", "command": "x y", "args": ["z"]},
            "args in command",
        ),
        (ENTRY, {"sha256": "aa", "command": "x"}, "runs no executables"),
        (ENTRY, {"sha256": "aa", "oci_image": "x"}, "runs no containers"),
        ("sys/plugins/reload/backend", {"plugin": "x", "scope": "galaxy"}, "omitted or 'global'"),
        (
            "identity/group",
            {"name": "g", "type": "external", "member_group_ids": ["x"]},
            "can't be set",
        ),
    ],
)
async def test_mistakes_of_operators(vault: Simulator, path: str, body: Any, text: str) -> None:
    """Each is told what was expected, with the status 400."""
    answer = await vault.call("POST", path, body)
    assert answer.status == 400
    assert text in "".join(answer.errors)


async def test_a_reload_everywhere(vault: Simulator) -> None:
    """Other nodes would follow: accepted, as a server says."""
    answer = await vault.call(
        "PUT", "sys/plugins/reload/backend", {"plugin": "shared_pin", "scope": "global"}
    )
    assert (answer.status, set(answer.data or {})) == (202, {"reload_id"})
