"""A secrets engine that issues what its caller asks for, and remembers what it is asked about leases.

It stands on `authkit.logical` directly, as `conformance.answers` does. A recipe may have a `secret`, with
its lifetimes and the recipe of its renewal (`renew`). What hosts ask is read at `asked`, oldest first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from authkit.framework.fields.durations import parse_duration
from authkit.logical import (
    BackendFactory,
    BackendType,
    LeasedSecret,
    LeaseOptions,
    Operation,
    Request,
    Response,
    SpecialPaths,
    StorageEntry,
)
from authkit.values import replace
from conformance.answers import VERSION, Answers, answer, raise_error, seconds

__all__ = ["Issuer"]

FAULT = "fault"


class Issuer(Answers):
    """One mount."""

    @classmethod
    def factory(cls) -> BackendFactory:
        """Return what makes instances."""
        return BackendFactory(build=cls, backend_type=BackendType.LOGICAL, version=VERSION)

    def special_paths(self) -> SpecialPaths:
        """Return the paths that are open without a token."""
        return SpecialPaths(unauthenticated=("open/*",))

    async def handle_request(self, request: Request) -> Response | None:
        """Answer."""
        match request.operation:
            case Operation.RENEW | Operation.REVOKE:
                return await self.serve_lease(request)
            case Operation.ROLLBACK:
                return None
        if request.path == "asked":
            keys = sorted(await self.storage.list("asked/"))
            entries = [await self.storage.get(f"asked/{key}") for key in keys]
            return Response(data={"asked": [json.loads(each.value) for each in entries if each]})
        if request.path == FAULT:
            await self.storage.put(StorageEntry(FAULT, json.dumps(dict(request.data)).encode()))
            return None
        if "secret" not in request.data:
            return await super().handle_request(request)
        response = answer(request.data, request)
        assert response is not None
        return replace(response, secret=secret_of(request.data["secret"]))

    async def serve_lease(self, request: Request) -> Response | None:
        """Write down what is asked, then renew as the secret's recipe says, or revoke, or fail."""
        number = len(await self.storage.list("asked/"))
        await self.storage.put(StorageEntry(f"asked/{number:04}", json.dumps(told(request)).encode()))
        secret = request.secret
        assert secret is not None
        fault = await self.storage.get(FAULT)
        if fault is not None and request.operation is Operation.REVOKE:
            raise_error(json.loads(fault.value)["error"])
        if request.operation is Operation.REVOKE:
            return None
        recipe = dict(secret.internal_data["renew"])
        if "error" in recipe:
            raise_error(recipe["error"])
        ttls = {name: parse_duration(recipe[name]) for name in ("ttl", "max_ttl") if name in recipe}
        lease = replace(secret.lease, **ttls, renewable=recipe.get("renewable", True))
        return Response(
            data=recipe.get("data"),
            secret=replace(secret, lease=lease),
            warnings=tuple(recipe.get("warnings", ())),
        )


def secret_of(recipe: Mapping[str, Any]) -> LeasedSecret:
    """Return the secret that a recipe describes."""
    lease = LeaseOptions(
        ttl=parse_duration(recipe.get("ttl", "")),
        max_ttl=parse_duration(recipe.get("max_ttl", "")),
        renewable=recipe.get("renewable", True),
    )
    return LeasedSecret(lease=lease, internal_data={"renew": recipe.get("renew", {}), "own": "kept"})


def told(request: Request) -> dict[str, Any]:
    """Return what the engine is told of a lease."""
    secret = request.secret
    assert secret is not None
    return {
        "operation": request.operation.value,
        "path": request.path,
        "data": dict(request.data) if request.has_data else None,
        "ttl": int(seconds(secret.lease.ttl)),
        "max_ttl": seconds(secret.lease.max_ttl),
        "increment": seconds(secret.lease.increment),
        "renewable": secret.lease.renewable,
        "has_issue_time": secret.lease.issue_time is not None,
        "own": secret.internal_data["own"],
        "has_lease_id": bool(secret.lease_id),
        "has_id": bool(request.id),
        "display_name": request.display_name,
        "has_connection": request.connection is not None,
        "mount_point": request.mount_point,
        "mount_type": request.mount_type,
    }
