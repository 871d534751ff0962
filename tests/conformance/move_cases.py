"""What a host does with mounts that are moved to another path, case by case.

As in `conformance.cases`, whole answers are compared with those recorded from Vault 1.21.1.
"""

from __future__ import annotations

from conformance.session import ENGINE, MOUNT, Session, begin, case

__all__ = ["ELSEWHERE"]

ELSEWHERE = f"{MOUNT}2"

begin("moved engines", ENGINE)


@case
async def engine_moved(host: Session) -> None:
    """Its storage and its ids go along; what it has issued is revoked where it was issued."""
    await host.write(f"{MOUNT}/kv/x", {"value": "1"})
    issued = await host.issue(ttl="1h")
    before = (await host.read(f"sys/mounts/{MOUNT}"))["data"]
    assert await host.move(MOUNT, ELSEWHERE) == "success"
    host.undo(f"sys/mounts/{ELSEWHERE}")
    await host.lease("lookup", issued["lease_id"], status=400)
    await host.read(f"{MOUNT}/kv/x", status=404)
    await host.read(f"sys/mounts/{MOUNT}", status=400)
    assert (await host.read(f"{ELSEWHERE}/kv/x"))["data"] == {"value": "1"}
    after = (await host.read(f"sys/mounts/{ELSEWHERE}"))["data"]
    assert [before[name] for name in ("uuid", "accessor")] == [after[name] for name in ("uuid", "accessor")]
    await host.read(f"{ELSEWHERE}/asked")


@case
async def leases_after_a_move(host: Session) -> None:
    """Those of the new path are of the same mount."""
    await host.move(MOUNT, f"{ELSEWHERE}/deep")
    host.undo(f"sys/mounts/{ELSEWHERE}/deep")
    issued = await host.write(f"{ELSEWHERE}/deep/creds/a", {"data": {}, "secret": {"ttl": "1m"}})
    await host.lease("renew", issued["lease_id"])
    await host.lease("revoke", issued["lease_id"], status=204)
    await host.read(f"{ELSEWHERE}/deep/asked")
    await host.write(f"{MOUNT}/do", {"echo": True}, status=404)


@case
async def move_and_back(host: Session) -> None:
    """The old path is free; another mount may be there, and then there is no way back."""
    await host.move(f"{MOUNT}/", f"/{ELSEWHERE}/")
    await host.move(ELSEWHERE, MOUNT)
    await host.move(MOUNT, ELSEWHERE)
    host.undo(f"sys/mounts/{ELSEWHERE}")
    await host.write(f"sys/mounts/{MOUNT}", {"type": ENGINE}, status=204)
    await host.write("sys/remount", {"from": ELSEWHERE, "to": MOUNT}, status=400)


@case
async def moves_refused(host: Session) -> None:
    """Without a path, to a path that is taken or the host's own, from one where nothing is."""
    await host.write("sys/remount", {}, status=400)
    await host.write("sys/remount", {"from": MOUNT}, status=400)
    await host.write("sys/remount", {"from": "", "to": "x"}, status=400)
    await host.write("sys/remount", {"from": MOUNT, "to": f"{MOUNT} "}, status=400)
    await host.write("sys/remount", {"from": "nowhere", "to": ELSEWHERE}, status=400)
    await host.write("sys/remount", {"from": MOUNT, "to": MOUNT}, status=400)
    await host.write("sys/remount", {"from": MOUNT, "to": f"{MOUNT}/below"}, status=400)
    for path in ("sys", "auth/x", "identity", "cubbyhole/x", "audit/x", "auth", "/"):
        await host.write("sys/remount", {"from": MOUNT, "to": path}, status=400)
    for path in ("sys", "identity", "cubbyhole", "audit/x", "auth/nowhere", "auth/token", "auth"):
        await host.write("sys/remount", {"from": path, "to": ELSEWHERE}, status=400)
    await host.write("sys/remount", {"from": 1, "to": "x"}, status=400)


@case
async def move_of_a_path_below_a_mount(host: Session) -> None:
    """It is taken, and fails."""
    assert await host.move(f"{MOUNT}/below", ELSEWHERE) == "failure"
    await host.write(f"{MOUNT}/do", {"echo": True})


@case
async def status_of_moves(host: Session) -> None:
    """Of one that there is not."""
    await host.read("sys/remount/status/nothing", status=404)
    await host.read("sys/remount/status", status=404)


@case
async def move_that_fails(host: Session) -> None:
    """What was issued cannot be revoked: nothing is moved, and the mount answers no more until it is."""
    issued = await host.issue(ttl="1h")
    await host.write(f"{MOUNT}/fault", {"error": "broken"}, status=204)
    assert await host.move(MOUNT, ELSEWHERE) == "failure"
    await host.read(f"{ELSEWHERE}/asked", status=404)
    await host.read(f"{MOUNT}/asked", status=404)
    await host.lease("lookup", issued["lease_id"])
    await host.call("PUT", f"sys/leases/revoke-force/{MOUNT}", {}, status=204)
    await host.read(f"{MOUNT}/asked", status=404)
    assert await host.move(MOUNT, ELSEWHERE) == "success"
    host.undo(f"sys/mounts/{ELSEWHERE}")
    await host.write(f"{ELSEWHERE}/do", {"echo": True})


@case
async def moves_need_sudo(host: Session) -> None:
    """To ask how far one is needs no more than the path."""
    await host.policy("con-move", ("sys/remount", ["update"]), ("sys/remount/status/*", ["read"]))
    token = await host.token("con-move")
    await host.write("sys/remount", {"from": MOUNT, "to": ELSEWHERE}, token=token, status=403)
    await host.read("sys/remount/status/nothing", token=token, status=404)
    await host.write("sys/remount", {"from": MOUNT, "to": ELSEWHERE}, token=None, status=403)
    await host.policy("con-move-2", ("sys/remount", ["update", "sudo"]))
    token = await host.token("con-move-2")
    await host.write("sys/remount", {"from": "nowhere", "to": ELSEWHERE}, token=token, status=400)


begin("moved auth methods")


@case
async def auth_method_moved(host: Session) -> None:
    """Its users stay who they are, and log in again: their tokens are revoked."""
    await host.write(f"auth/{MOUNT}/kv/x", {"value": "1"})
    group_id = await host.external_group("con-moved", "devs")
    auth = await host.login(alias="bob", policies=["default"])
    assert await host.move(f"auth/{MOUNT}", f"auth/{ELSEWHERE}") == "success"
    host.undo(f"sys/auth/{ELSEWHERE}")
    await host.lookup(auth, status=403)
    await host.write(f"auth/{MOUNT}/login", {"auth": {"alias": "bob"}}, status=403, token=None)
    body = await host.write(
        f"auth/{ELSEWHERE}/login", {"auth": {"alias": "bob", "policies": ["default"]}}, token=None
    )
    assert body["auth"]["entity_id"] == auth["entity_id"]
    await host.lookup(body["auth"])
    await host.write("auth/token/renew", {"token": body["auth"]["client_token"]})
    await host.read(f"auth/{ELSEWHERE}/kv/x")
    entity = (await host.read(f"identity/entity/id/{auth['entity_id']}"))["data"]
    host.undo(f"identity/entity/id/{auth['entity_id']}")
    await host.read(f"identity/entity-alias/id/{entity['aliases'][0]['id']}")
    group = (await host.read(f"identity/group/id/{group_id}"))["data"]
    await host.read(f"identity/group-alias/id/{group['alias']['id']}")
    await host.read(f"sys/auth/{ELSEWHERE}")


@case
async def auth_methods_stay_among_themselves(host: Session) -> None:
    """A secrets engine's path is none for one."""
    await host.write("sys/remount", {"from": f"auth/{MOUNT}", "to": ELSEWHERE}, status=400)
    await host.write("sys/remount", {"from": f"auth/{MOUNT}", "to": "auth/token/x"}, status=400)
    await host.write("sys/remount", {"from": f"auth/{MOUNT}", "to": "auth/token"}, status=400)
    await host.write("sys/remount", {"from": f"auth/{MOUNT}", "to": f"auth/{MOUNT}/x"}, status=400)
    await host.write("sys/remount", {"from": "auth/token", "to": f"auth/{ELSEWHERE}"}, status=400)


@case
async def batch_tokens_after_a_move(host: Session) -> None:
    """Nobody keeps them, so they stay."""
    auth = await host.login(alias="bob", policies=["default"], token_type="BATCH", ttl="1h")
    await host.move(f"auth/{MOUNT}", f"auth/{ELSEWHERE}")
    host.undo(f"sys/auth/{ELSEWHERE}")
    host.undo(f"identity/entity/id/{auth['entity_id']}")
    await host.read("auth/token/lookup-self", token=auth["client_token"])
