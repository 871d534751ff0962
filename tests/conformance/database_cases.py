"""What a host does with database plugins: connections, roles, users, rotations.

As in `conformance.cases`, whole answers are compared with those recorded from Vault 1.21.1.
"""

from __future__ import annotations

from typing import Any

from conformance.session import DATABASE, MOUNT, Session, begin, case

__all__ = ["CONNECTION"]

CONNECTION = f"{MOUNT}/config/one"
ROLE = f"{MOUNT}/roles/app"
CREDS = f"{MOUNT}/creds/app"

begin("databases", DATABASE)


async def connect(on: Session, status: int = 204, **settings: Any) -> Any:
    """Write the connection."""
    own = {"plugin_name": DATABASE, "allowed_roles": ["*"], "host": "shelf", "password": "r00t-0123456789"}
    return await on.write(CONNECTION, own | settings, status=status)


async def with_role(on: Session, **settings: Any) -> None:
    """Write the connection, and the role."""
    await connect(on, **settings)
    await on.write(ROLE, {"db_name": "one", "default_ttl": "1h", "max_ttl": "2h"}, status=204)


@case
async def connections(host: Session) -> None:
    """A connection is shown without secrets; a write changes only what it names."""
    await host.list(f"{MOUNT}/config", status=404)
    await connect(host, username="root", max_open_connections=2, extra={"a": [1, None, 1.5]})
    await host.read(CONNECTION)
    await host.write(CONNECTION, {"max_open_connections": "3", "allowed_roles": "a,b*"}, status=204)
    await host.read(CONNECTION)
    await host.list(f"{MOUNT}/config")
    await host.delete(CONNECTION)
    await host.read(CONNECTION, status=404)
    await host.delete(CONNECTION)


@case
async def connections_that_cannot_be_made(host: Session) -> None:
    """The reason is told, and nothing is stored."""
    await host.write(CONNECTION, {"host": "shelf"}, status=400)
    await connect(host, 400, host="down")
    await connect(host, 400, max_open_connections="many")
    await connect(host, 400, username_template="{{.Nobody}}")
    await connect(host, 400, plugin_version="nonsense")
    await host.list(f"{MOUNT}/config", status=404)


@case
async def connections_that_are_not_verified(host: Session) -> None:
    """The database may be down; whoever asks for a user learns so."""
    await with_role(host, host="down", verify_connection=False)
    await host.read(CONNECTION)
    await host.read(CREDS, status=500)


@case
async def passwords_in_urls(host: Session) -> None:
    """They are not shown, and a warning says what is better."""
    own = {"plugin_name": DATABASE, "password": "r00t-0123456789"}
    url = "postgresql://{{username}}:{{password}}@db.example.com/app?sslmode=disable"
    await host.write(CONNECTION, {**own, "connection_url": url}, status=204)
    await host.read(CONNECTION)
    open_url = "postgresql://root:open-to-all@db.example.com/app"
    await host.write(CONNECTION, {**own, "connection_url": open_url})
    await host.read(CONNECTION)


@case
async def roles(host: Session) -> None:
    """Their fields, and what a write changes."""
    await host.list(f"{MOUNT}/roles", status=404)
    await host.write(ROLE, {"db_name": "nowhere", "creation_statements": "a;b"}, status=204)
    await host.read(ROLE)
    await host.write(ROLE, {"default_ttl": 60, "revocation_statements": ["c", "d"]}, status=204)
    await host.read(ROLE)
    await host.list(f"{MOUNT}/roles")
    await host.write(f"{MOUNT}/roles/other", {}, status=400)
    await host.write(f"{MOUNT}/roles/other", {"db_name": "one", "credential_type": "smile"}, status=400)
    await host.read(CREDS, status=500)
    await host.delete(ROLE)
    await host.read(ROLE, status=404)
    await host.read(CREDS, status=400)


@case
async def users(host: Session) -> None:
    """They have a lease that is renewed and revoked."""
    await with_role(host)
    made = await host.read(CREDS)
    await host.lease("lookup", made["lease_id"])
    await host.lease("renew", made["lease_id"], increment="100s")
    await host.lease("renew", made["lease_id"], increment="100h")
    await host.lease("revoke", made["lease_id"], sync=True, status=204)
    await host.lease("lookup", made["lease_id"], status=400)


@case
async def users_that_are_not_made(host: Session) -> None:
    """The plugin refuses, the connection is not for the role, or credentials are of another type."""
    await with_role(host, host="full")
    await host.read(CREDS, status=500)
    await host.write(CONNECTION, {"allowed_roles": "b*"}, status=204)
    await host.read(CREDS, status=500)
    await host.write(CONNECTION, {"allowed_roles": "a*"}, status=204)
    await host.write(ROLE, {"credential_type": "rsa_private_key"}, status=204)
    await host.read(ROLE)
    await host.read(CREDS, status=400)


@case
async def leases_without_a_role(host: Session) -> None:
    """A renewal needs the role; a revocation does not, but a connection."""
    await with_role(host)
    first, second = await host.read(CREDS), await host.read(CREDS)
    await host.delete(ROLE)
    await host.lease("renew", first["lease_id"], status=400)
    await host.lease("revoke", first["lease_id"], sync=True, status=204)
    await host.delete(CONNECTION)
    await host.lease("revoke", second["lease_id"], sync=True, status=400)
    await host.call("PUT", f"sys/leases/revoke-force/{MOUNT}", status=204)


@case
async def revocations_that_fail(host: Session) -> None:
    """The plugin's text is told."""
    await with_role(host, host="stuck")
    made = await host.read(CREDS)
    await host.lease("revoke", made["lease_id"], sync=True, status=400)
    await host.write(CONNECTION, {"host": "shelf"}, status=204)
    await host.lease("revoke", made["lease_id"], sync=True, status=204)


@case
async def static_roles(host: Session) -> None:
    """Users that were there, with passwords that change."""
    await connect(host)
    role = f"{MOUNT}/static-roles/batch"
    await host.write(role, {"db_name": "one", "username": "ann", "rotation_period": "1h"}, status=204)
    await host.list(f"{MOUNT}/static-roles")
    first = await host.read(f"{MOUNT}/static-creds/batch")
    await host.write(f"{MOUNT}/rotate-role/batch", {}, status=204)
    second = await host.read(f"{MOUNT}/static-creds/batch")
    assert first["data"]["password"] != second["data"]["password"]
    await host.delete(role)
    await host.read(role, status=404)
    await host.read(f"{MOUNT}/static-creds/batch", status=400)


@case
async def static_roles_that_are_refused(host: Session) -> None:
    """Names are shared with roles, users stay, and the database has to know them."""
    await with_role(host)
    role = f"{MOUNT}/static-roles/batch"
    sound = {"db_name": "one", "username": "ann", "rotation_period": "1h"}
    await host.write(f"{MOUNT}/static-roles/app", sound, status=400)
    await host.write(role, {**sound, "username": "nobody"}, status=500)
    await host.write(role, {**sound, "db_name": "other"}, status=500)
    await host.write(role, {**sound, "db_name": ""}, status=400)
    await host.write(role, {**sound, "username": ""}, status=400)
    await host.read(role, status=404)
    await host.write(role, sound, status=204)
    await host.write(role, {**sound, "username": "bob"}, status=400)
    await host.write(f"{MOUNT}/roles/batch", {"db_name": "one"}, status=400)


@case
async def root_rotation(host: Session) -> None:
    """It needs a user and its password, and a connection."""
    await connect(host, username="root")
    await host.write(f"{MOUNT}/rotate-root/one", {}, status=204)
    await host.read(CONNECTION)
    await host.write(f"{MOUNT}/rotate-root/two", {}, status=500)
    await host.write(CONNECTION, {"username": ""}, status=204)
    await host.write(f"{MOUNT}/rotate-root/one", {}, status=500)
    await host.write(CONNECTION, {"username": "root", "password": ""}, status=204)
    await host.write(f"{MOUNT}/rotate-root/one", {}, status=500)
    await host.write(CONNECTION, {"username": "nobody", "password": "r00t-0123456789"}, status=204)
    await host.write(f"{MOUNT}/rotate-root/one", {}, status=500)


@case
async def resets_and_reloads(host: Session) -> None:
    """Connections are closed and opened again."""
    await connect(host)
    await host.write(f"{MOUNT}/reset/one", {}, status=204)
    await host.write(f"{MOUNT}/reset/two", {}, status=500)
    await host.write(f"{MOUNT}/reload/{DATABASE}", {})
    await host.write(f"{MOUNT}/reload/nothing", {})
    await host.write(f"sys/plugins/reload/database/{DATABASE}", {})
    await host.write("sys/plugins/reload/database/nothing", {})
