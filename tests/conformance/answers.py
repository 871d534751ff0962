"""A plugin that answers what its caller asks for: logins, renewals, errors, raw bodies, echoes.

It stands on `authkit.logical` directly, so that a case decides on every field of an answer. A request
carries a *recipe*, and a login keeps the recipe of its renewal (`renew`) in the token's internal data.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from authkit import errors
from authkit.errors import (
    AuthKitError,
    CodedError,
    LogicalError,
    UnsupportedOperationError,
    UnsupportedPathError,
)
from authkit.framework.fields.durations import parse_duration
from authkit.logical import (
    Alias,
    Auth,
    BackendConfig,
    BackendFactory,
    BackendType,
    LeaseOptions,
    Operation,
    RawBody,
    Request,
    Response,
    SpecialPaths,
    StorageEntry,
    TokenType,
    WrapInfo,
)
from authkit.values import replace

__all__ = ["VERSION", "Answers"]

VERSION = "v0.1.0"

LOGINS = ("login", "login/+", "open/*")
SUDO = ("sudo", "sudo/*")
HELP = "Answers what it is asked for."


class Answers:
    """One mount."""

    def __init__(self, config: BackendConfig) -> None:
        self.storage = config.storage
        self.system = config.system
        self.options = config.options

    @classmethod
    def factory(cls) -> BackendFactory:
        """Return what makes instances."""
        return BackendFactory(build=cls, backend_type=BackendType.CREDENTIAL, version=VERSION)

    def special_paths(self) -> SpecialPaths:
        """Return the paths that are open without a token, and those that need `sudo`."""
        return SpecialPaths(root=SUDO, unauthenticated=LOGINS)

    async def initialize(self) -> None:
        """Be ready."""

    async def invalidate_key(self, key: str) -> None:
        """Nothing is cached."""

    async def cleanup(self) -> None:
        """Nothing to clean up."""

    async def handle_existence_check(self, request: Request) -> bool | None:
        """Tell for `kv/`; elsewhere fail when asked to, or do not know."""
        if "check_error" in request.data:
            raise_error(request.data["check_error"])
        if request.path.startswith("kv/"):
            return await self.storage.get(request.path) is not None
        return None

    async def handle_request(self, request: Request) -> Response | None:
        """Answer."""
        match request.operation:
            case Operation.HELP:
                return Response(data={"help": f"{HELP} Path: {request.path!r}.", "see_also": None})
            case Operation.RESOLVE_ROLE:
                if "role" not in request.data:
                    raise UnsupportedOperationError
                return Response(data={"role": request.data["role"]})
            case Operation.RENEW:
                return renewed(request)
            case Operation.ROLLBACK:
                raise UnsupportedOperationError
        if request.path.startswith("kv/") or request.path == "kv":
            return await self.keep(request)
        if request.path == "system":
            return await self.tell_system(request)
        if request.path.startswith("missing"):
            raise UnsupportedPathError
        return answer(request.data, request)

    async def keep(self, request: Request) -> Response | None:
        """Store, read, list and delete values."""
        match request.operation:
            case Operation.LIST:
                return Response(data={"keys": await self.storage.list(request.path)})
            case Operation.READ:
                entry = await self.storage.get(request.path)
                return None if entry is None else Response(data={"value": entry.value.decode()})
            case Operation.DELETE:
                await self.storage.delete(request.path)
                return None
            case Operation.CREATE | Operation.UPDATE:
                await self.storage.put(StorageEntry(request.path, str(request.data["value"]).encode()))
                return Response(data={"operation": request.operation.value})
        raise UnsupportedOperationError

    async def tell_system(self, request: Request) -> Response:
        """Tell what the host says about itself and about an entity."""
        entity = await self.system.entity_info(request.data.get("entity_id", ""))
        groups = await self.system.groups_for_entity(request.data.get("entity_id", ""))
        environment = await self.system.plugin_env()
        return Response(
            data={
                "default_lease_ttl": int((await self.system.default_lease_ttl()).total_seconds()),
                "max_lease_ttl": int((await self.system.max_lease_ttl()).total_seconds()),
                "tainted": await self.system.tainted(),
                "caching_disabled": await self.system.caching_disabled(),
                "local_mount": await self.system.local_mount(),
                "replication_state": int(await self.system.replication_state()),
                "vault_version": environment.vault_version,
                "entity": entity and {"name": entity.name, "aliases": [each.name for each in entity.aliases]},
                "groups": sorted(group.name for group in groups),
                "options": {key: value for key, value in self.options.items() if key != "plugin_name"},
            }
        )


# --- recipes -----------------------------------------------------------------------------------


def answer(recipe: Mapping[str, Any], request: Request) -> Response | None:
    """Return what a recipe describes."""
    if "error" in recipe:
        raise_error(recipe["error"])
    if recipe.get("nothing"):
        return None
    if "refusal" in recipe:
        return Response.error(recipe["refusal"], recipe.get("refusal_data"))
    data = recipe.get("data")
    if recipe.get("echo"):
        data = echo(request)
    wrap = recipe.get("wrap_ttl")
    return Response(
        data=data,
        auth=auth_of(recipe["auth"]) if "auth" in recipe else None,
        warnings=tuple(recipe.get("warnings", ())),
        redirect=recipe.get("redirect", ""),
        headers=recipe.get("headers", {}),
        raw=RawBody(**{**recipe["raw"], "body": recipe["raw"].get("body", "").encode()})
        if "raw" in recipe
        else None,
        wrap_info=WrapInfo(ttl=parse_duration(wrap)) if wrap else None,
    )


def raise_error(recipe: Any) -> None:
    """Raise the error that a recipe names: a text, `{"status", "text"}`, or `{"kind"}` with a text."""
    if isinstance(recipe, str):
        raise LogicalError(recipe)
    if "status" in recipe:
        raise CodedError(int(recipe["status"]), recipe["text"])
    kind: type[AuthKitError] = getattr(errors, recipe["kind"])
    raise kind(recipe["text"]) if "text" in recipe else kind()


def auth_of(recipe: Mapping[str, Any]) -> Auth:
    """Return the grant that a recipe describes."""
    return Auth(
        lease=LeaseOptions(
            ttl=parse_duration(recipe.get("ttl", "")),
            max_ttl=parse_duration(recipe.get("max_ttl", "")),
            renewable=recipe.get("renewable", True),
        ),
        internal_data={"renew": recipe.get("renew", {"keep": True})},
        display_name=recipe.get("display_name", ""),
        policies=tuple(recipe.get("policies", ())),
        metadata=recipe.get("metadata", {}),
        alias=alias_of(recipe["alias"]) if "alias" in recipe else None,
        group_aliases=tuple(Alias(name=name) for name in recipe.get("groups", ())),
        period=parse_duration(recipe.get("period", "")),
        explicit_max_ttl=parse_duration(recipe.get("explicit_max_ttl", "")),
        num_uses=int(recipe.get("num_uses", 0)),
        bound_cidrs=tuple(recipe.get("bound_cidrs", ())),
        token_type=TokenType[recipe.get("token_type", "DEFAULT")],
        no_default_policy=recipe.get("no_default_policy", False),
    )


def alias_of(recipe: Any) -> Alias:
    """Return an alias: a name, or its fields."""
    return Alias(name=recipe) if isinstance(recipe, str) else Alias(**recipe)


def renewed(request: Request) -> Response | None:
    """Return what the login's recipe says about renewals."""
    auth = request.auth
    assert auth is not None
    recipe: dict[str, Any] = dict(auth.internal_data["renew"])
    if not recipe.pop("keep", False) and "auth" not in recipe:
        return answer(recipe, request)
    if "auth" in recipe:
        return answer(recipe, request)
    ttls = {name: parse_duration(recipe[name]) for name in ("ttl", "max_ttl") if name in recipe}
    auth = replace(auth, lease=replace(auth.lease, **ttls))
    if "period" in recipe:
        auth = replace(auth, period=parse_duration(recipe["period"]))
    if "explicit_max_ttl" in recipe:
        auth = replace(auth, explicit_max_ttl=parse_duration(recipe["explicit_max_ttl"]))
    if "groups" in recipe:
        auth = replace(auth, group_aliases=tuple(Alias(name=name) for name in recipe["groups"]))
    if recipe.get("tell"):
        auth = replace(auth, metadata=tell(request))
    return Response(auth=auth)


def tell(request: Request) -> dict[str, str]:
    """Return what a renewal receives, as metadata: the one thing of it that a client gets to see."""
    auth = request.auth
    assert auth is not None
    lease = auth.lease
    return {
        "path": request.path,
        "data": str(dict(request.data)),
        "ttl": seconds(lease.ttl),
        "max_ttl": seconds(lease.max_ttl),
        "increment": seconds(lease.increment),
        "renewable": str(lease.renewable),
        "period": seconds(auth.period),
        "explicit_max_ttl": seconds(auth.explicit_max_ttl),
        "policies": ",".join(auth.policies),
        "token_policies": ",".join(auth.token_policies),
        "display_name": auth.display_name,
        "alias": auth.alias.name if auth.alias else "",
        "groups": ",".join(alias.name for alias in auth.group_aliases),
        "has_accessor": str(bool(auth.accessor)),
        "has_client_token": str(bool(auth.client_token)),
        "has_entity": str(bool(auth.entity_id)),
        "token_type": str(int(auth.token_type)),
        "num_uses": str(auth.num_uses),
        "unauthenticated": str(request.unauthenticated),
        "mount_point": request.mount_point.rpartition("auth/")[1],
        "remote_addr": request.connection.remote_addr if request.connection else "",
        "metadata": ",".join(sorted(auth.metadata)),
    }


def seconds(duration: timedelta) -> str:
    """Return a duration as text."""
    return str(int(duration.total_seconds()))


def echo(request: Request) -> dict[str, Any]:
    """Return the request as the backend sees it."""
    return {
        "operation": request.operation.value,
        "path": request.path,
        "has_id": bool(request.id),
        "data": {key: value for key, value in request.data.items() if key != "echo"},
        "has_data": request.has_data,
        "headers": {name: list(values) for name, values in request.headers.items()},
        "remote_addr": request.connection.remote_addr if request.connection else None,
        "unauthenticated": request.unauthenticated,
        "has_client_token": bool(request.client_token),
        "has_accessor": bool(request.client_token_accessor),
        "uses": request.client_token_remaining_uses,
        "display_name": request.display_name,
        "has_entity": bool(request.entity_id),
        "mount_point": request.mount_point,
        "mount_type": request.mount_type,
        "has_mount_accessor": bool(request.mount_accessor),
        "wrap_ttl": seconds(request.wrap_info.ttl) if request.wrap_info else None,
    }
