"""What a host does with secrets engines and the leases of what they issue, case by case.

As in `conformance.cases`, whole answers are compared with those recorded from Vault 1.21.1.
"""

from __future__ import annotations

from conformance.session import ENGINE, MOUNT, Session, begin, case, clock_case

__all__ = ["CREDS"]

CREDS = f"{MOUNT}/creds/a"
UNKNOWN = f"{CREDS}/{'x' * 23}"

# --- mounts ------------------------------------------------------------------------------------

begin("engines", ENGINE)


@case
async def requests_of_an_engine(host: Session) -> None:
    """It is asked as an auth method is, below a path of its own."""
    body = await host.write(f"{MOUNT}/do", {"echo": True})
    assert body["data"]["mount_point"] == f"{MOUNT}/"
    await host.write(f"{MOUNT}/kv/x", {"value": "1"})
    await host.read(f"{MOUNT}/kv/x")
    await host.list(f"{MOUNT}/kv")
    await host.delete(f"{MOUNT}/kv/x")
    await host.read(f"{MOUNT}/missing", status=404)
    await host.write(f"{MOUNT}/do", {"error": "broken"}, status=500)
    await host.write(f"{MOUNT}/do", {"refusal": "no"}, status=400)
    await host.write(f"{MOUNT}/open/do", {"data": {"a": 1}}, token=None)
    await host.read(MOUNT, query={"help": "1"})


@case
async def policies_of_an_engine(host: Session) -> None:
    """Policies name its paths without a prefix."""
    await host.policy("con-engine", (f"{MOUNT}/creds/*", ["update"]))
    token = await host.token("con-engine")
    await host.issue(token=token)
    await host.write(f"{MOUNT}/do", {"echo": True}, token=token, status=403)
    await host.write(CREDS, {"secret": {}}, token=None, status=403)


@case
async def mount_shown(host: Session) -> None:
    """One mount and its tuning."""
    await host.read(f"sys/mounts/{MOUNT}")
    await host.read(f"sys/mounts/{MOUNT}/tune")
    await host.read(f"sys/internal/ui/mounts/{MOUNT}/creds")
    await host.read("sys/mounts/nowhere", status=400)
    await host.read("sys/mounts/nowhere/tune", status=400)
    await host.read("sys/mounts/sys/tune")


@case
async def mount_tuned(host: Session) -> None:
    """As an auth method, but that it has no type of token."""
    settings = {"default_lease_ttl": "1m", "max_lease_ttl": "2m", "description": "d"}
    await host.write(f"sys/mounts/{MOUNT}/tune", settings, status=204)
    await host.read(f"sys/mounts/{MOUNT}/tune")
    await host.issue()
    await host.issue(ttl="1h")
    await host.write(f"sys/mounts/{MOUNT}/tune", {"max_lease_ttl": "1s"}, status=400)
    await host.write(f"sys/mounts/{MOUNT}/tune", {"token_type": "batch"}, status=400)
    await host.write("sys/mounts/sys/tune", {"description": "d"}, status=400)
    await host.write("sys/mounts/nowhere/tune", {"description": "d"}, status=400)


@case
async def mounts_refused(host: Session) -> None:
    """Paths that are taken or the host's own, plugins that are not there, settings that make no sense."""
    await host.write(f"sys/mounts/{MOUNT}", {"type": ENGINE}, status=400)
    await host.write(f"sys/mounts/{MOUNT}/below", {"type": ENGINE}, status=400)
    for path in ("sys", "auth/x", "identity", "cubbyhole/x"):
        await host.write(f"sys/mounts/{path}", {"type": ENGINE}, status=400)
    await host.write("sys/mounts/con2", {"type": "nonsense"}, status=400)
    await host.write("sys/mounts/con2", {}, status=400)
    await host.write("sys/mounts/con2", {"type": ENGINE, "options": {"version": "2"}}, status=400)
    await host.write("sys/mounts/con2", {"type": ENGINE, "config": {"default_lease_ttl": "x"}}, status=400)
    await host.write("sys/auth/con2", {"type": ENGINE}, status=400)
    await host.write("sys/mounts/con2", {"type": "answers"}, status=400)


@case
async def mounts_removed(host: Session) -> None:
    """One that is not there is removed as well; the host's own are not."""
    await host.write("sys/mounts/con2/deep", {"type": ENGINE}, status=204)
    await host.write("con2/deep/kv/x", {"value": "1"})
    await host.delete("sys/mounts/con2/deep")
    await host.read("con2/deep/kv/x", status=404)
    await host.delete("sys/mounts/con2/deep")
    await host.delete("sys/mounts/sys", status=400)
    await host.delete("sys/mounts/identity", status=400)


# --- leases ------------------------------------------------------------------------------------

begin("leases", ENGINE)


@case
async def lease_of_an_answer(host: Session) -> None:
    """A secret has a lease, whatever asked for it; its internal data is not shown."""
    await host.issue(ttl="1h", max_ttl="2h")
    await host.issue()
    await host.issue(ttl="1h", renewable=False)
    await host.issue(ttl="1h", beside={"warnings": ["careful"]})


@case
async def lease_that_is_too_long(host: Session) -> None:
    """It is cut to what the engine or the mount allows, with a warning."""
    await host.issue(ttl="100s", max_ttl="50s")
    await host.issue(ttl="1000h")


@case
async def lease_without_a_token(host: Session) -> None:
    """A path that needs no token has no secrets."""
    await host.write(f"{MOUNT}/open/do", {"secret": {}}, token=None, status=500)
    await host.write(f"{MOUNT}/open/do", {"secret": {}}, status=500)


@case
async def lookup_of_a_lease(host: Session) -> None:
    """What is known of one, of none, and of all below a path."""
    issued = await host.issue(ttl="1h")
    await host.lease("lookup", issued["lease_id"])
    await host.lease("lookup", UNKNOWN, status=400)
    await host.call("PUT", "sys/leases/lookup", {}, status=400)
    await host.list(f"sys/leases/lookup/{CREDS}")
    await host.list(f"sys/leases/lookup/{MOUNT}/")
    await host.list(f"sys/leases/lookup/{MOUNT}/nothing", status=404)


@case
async def lease_renewed(host: Session) -> None:
    """By what the client wants, within the engine's longest; the engine is told what it had said."""
    issued = await host.issue(ttl="1m", max_ttl="2m", renew={"data": {"more": 1}, "warnings": ["w"]})
    await host.lease("renew", issued["lease_id"])
    await host.lease("renew", issued["lease_id"], increment=70)
    await host.lease("renew", issued["lease_id"], increment="1h")
    await host.lease("lookup", issued["lease_id"])
    await host.call("PUT", f"sys/leases/renew/{issued['lease_id']}", {})
    await host.asked()


@case
async def renewal_replaces(host: Session) -> None:
    """What the engine answers counts from then on: its lifetimes, and whether there are more renewals."""
    issued = await host.issue(ttl="1m", renew={"ttl": "3m", "max_ttl": "5m", "renewable": False})
    body = await host.lease("renew", issued["lease_id"])
    assert body["data"] is None
    await host.lease("renew", issued["lease_id"], status=400)
    await host.lease("lookup", issued["lease_id"])


@case
async def renewals_refused(host: Session) -> None:
    """There is no such lease, it is not to be renewed, or the engine fails."""
    await host.lease("renew", UNKNOWN, status=400)
    await host.call("PUT", "sys/leases/renew", {}, status=400)
    issued = await host.issue(renewable=False)
    await host.lease("renew", issued["lease_id"], status=400)
    for error in ("broken", {"kind": "PermissionDeniedError"}, {"status": 418, "text": "teapot"}):
        issued = await host.issue(renew={"error": error})
        await host.lease("renew", issued["lease_id"], status=400)


@case
async def lease_revoked(host: Session) -> None:
    """Once: a lease that is not there counts as revoked."""
    issued = await host.issue(ttl="1h")
    await host.lease("revoke", issued["lease_id"], status=204)
    await host.lease("lookup", issued["lease_id"], status=400)
    await host.lease("revoke", issued["lease_id"], status=204)
    await host.call("PUT", "sys/leases/revoke", {}, status=400)
    await host.asked()


@case
async def revocation_after_a_renewal(host: Session) -> None:
    """The engine is told what its renewal has answered, and the lease's id."""
    issued = await host.issue(ttl="1m", renew={"ttl": "2m", "data": {"more": 1}})
    await host.lease("renew", issued["lease_id"])
    await host.lease("revoke", issued["lease_id"], status=204)
    issued = await host.issue(ttl="1m")
    await host.lease("renew", issued["lease_id"])
    await host.lease("revoke", issued["lease_id"], status=204)
    await host.asked()


@case
async def revocation_that_fails(host: Session) -> None:
    """The client is told why, and the lease stays."""
    issued = await host.issue(ttl="1h")
    for error in ("broken", {"kind": "UnrecoverableError"}, {"kind": "UnsupportedOperationError"}):
        await host.write(f"{MOUNT}/fault", {"error": error}, status=204)
        await host.lease("revoke", issued["lease_id"], status=400)
    await host.lease("lookup", issued["lease_id"])
    await host.call("PUT", f"sys/leases/revoke-prefix/{MOUNT}", {}, status=400)
    await host.call("PUT", f"sys/leases/revoke-prefix/{issued['lease_id']}", {}, status=400)
    await host.call("PUT", f"sys/leases/revoke-force/{MOUNT}", {}, status=204)
    await host.lease("lookup", issued["lease_id"], status=400)


@case
async def revocation_below_a_path(host: Session) -> None:
    """All of them, or exactly one."""
    first, second = await host.issue(ttl="1h"), await host.issue(ttl="1h")
    await host.call("PUT", f"sys/leases/revoke-prefix/{first['lease_id']}", {}, status=204)
    await host.lease("lookup", first["lease_id"], status=400)
    await host.lease("lookup", second["lease_id"])
    await host.call("PUT", f"sys/leases/revoke-prefix/{CREDS}", {}, status=204)
    await host.lease("lookup", second["lease_id"], status=400)
    await host.call("PUT", f"sys/leases/revoke-prefix/{MOUNT}/nothing", {}, status=204)


@case
async def old_paths(host: Session) -> None:
    """Those of the time before `sys/leases/` are served as well."""
    issued = await host.issue(ttl="1h")
    await host.call("PUT", "sys/renew", {"lease_id": issued["lease_id"]})
    await host.call("PUT", f"sys/renew/{issued['lease_id']}", {})
    await host.call("PUT", f"sys/revoke/{issued['lease_id']}", {}, status=204)
    await host.call("PUT", f"sys/revoke-prefix/{MOUNT}", {}, status=204)
    await host.call("PUT", f"sys/revoke-force/{MOUNT}", {}, status=204)


@case
async def revocation_that_nobody_waits_for(host: Session) -> None:
    """It is accepted."""
    issued = await host.issue(ttl="1h")
    await host.lease("revoke", issued["lease_id"], status=202, sync=False)
    await host.lease("revoke", UNKNOWN, status=202, sync=False)
    await host.call("PUT", f"sys/leases/revoke-prefix/{MOUNT}/nothing", {"sync": False}, status=202)


@case
async def unmounting_revokes(host: Session) -> None:
    """A mount whose leases cannot be revoked stays, and answers nothing else any more."""
    await host.write("sys/mounts/con2", {"type": ENGINE}, status=204)
    body = await host.write("con2/creds/a", {"secret": {"ttl": "1h"}})
    await host.write("con2/fault", {"error": "broken"}, status=204)
    await host.delete("sys/mounts/con2", status=400)
    await host.read("con2/asked", status=404)
    await host.write("con2/do", {"echo": True}, status=404)
    await host.lease("lookup", body["lease_id"])
    await host.call("PUT", "sys/leases/revoke-force/con2", {}, status=204)
    await host.delete("sys/mounts/con2")


@case
async def wrapped_lease(host: Session) -> None:
    """The lease is there before the answer is wrapped, and in what is unwrapped."""
    wrapped = await host.write(CREDS, {"data": {"a": 1}, "secret": {"ttl": "1h"}}, wrap="5m")
    assert wrapped["lease_id"] == ""
    body = await host.write("sys/wrapping/unwrap", {}, token=wrapped["wrap_info"]["token"])
    await host.lease("lookup", body["lease_id"])


@case
async def lease_of_a_last_use(host: Session) -> None:
    """Whose token ends with the request gets no secret."""
    await host.policy("con-last", (f"{MOUNT}/*", ["update"]))
    token = await host.token("con-last", num_uses=1)
    await host.write(CREDS, {"secret": {"ttl": "1h"}}, token=token, status=400)


@case
async def lease_of_a_batch_token(host: Session) -> None:
    """It ends with the token at the latest, also when it is renewed."""
    await host.policy("con-batch", (f"{MOUNT}/*", ["update"]))
    token = await host.token("con-batch", type="batch", ttl="100s")
    issued = await host.issue(token=token, ttl="1h")
    await host.lease("lookup", issued["lease_id"])
    await host.lease("renew", issued["lease_id"], increment=500)


@case
async def irrevocable_leases(host: Session) -> None:
    """They are counted and listed; no other type is."""
    await host.read("sys/leases/count", status=404)
    await host.read("sys/leases", status=404)
    await host.read("sys/leases", query={"type": "irrevocable", "limit": "x"}, status=500)
    await host.read("sys/leases", query={"type": "irrevocable", "limit": "0"}, status=500)
    await host.call("PUT", "sys/leases/tidy", {}, status=202)


# --- as time passes ----------------------------------------------------------------------------


@clock_case
async def lease_expires(host: Session) -> None:
    """It is revoked when its time is over."""
    await host.issue(ttl="1m")
    host.tick("59s")
    assert await host.asked() == []
    host.tick("2s")
    assert [each["operation"] for each in await host.asked_soon(1)] == ["revoke"]


@clock_case
async def lease_ends_with_its_token(host: Session) -> None:
    """Of a token that is revoked, or expires."""
    await host.policy("con-short", (f"{MOUNT}/*", ["update"]))
    token = await host.token("con-short", ttl="1m")
    await host.issue(token=token, ttl="1h")
    other = await host.token("con-short")
    issued = await host.issue(token=other, ttl="1h")
    await host.write("auth/token/revoke", {"token": other}, status=204)
    await host.asked_soon(1)
    await host.lease("lookup", issued["lease_id"], status=400)
    host.tick("61s")
    await host.asked_soon(2)


@clock_case
async def failed_revocations_are_tried_again(host: Session) -> None:
    """Later each time, and no more after six failures."""
    issued = await host.issue(ttl="1m")
    await host.write(f"{MOUNT}/fault", {"error": "broken"}, status=204)
    host.tick("61s")
    for attempts in range(1, 7):
        assert len(await host.asked_soon(attempts)) == attempts
        host.tick("8m")
    assert len(await host.asked()) == 6
    listed = (await host.read("sys/leases", query={"type": "irrevocable"}))["data"]
    assert listed["lease_count"] == 1
    text = "out of retries: failed to revoke entry: resp: (*logical.Response)(nil) err: broken"
    assert listed["leases"][0]["error"] == text
    await host.lease("renew", issued["lease_id"], status=400)
    host.tick("25h")
    await host.asked_soon(7)
    await host.call("PUT", f"sys/leases/revoke-force/{MOUNT}", {}, status=204)


@clock_case
async def hopeless_revocations_are_not_tried_again(host: Session) -> None:
    """After an error that another attempt would only repeat."""
    await host.issue(ttl="1m")
    await host.write(f"{MOUNT}/fault", {"error": {"kind": "UnrecoverableError"}}, status=204)
    host.tick("61s")
    await host.asked_soon(1)
    body = await host.read("sys/leases/count", query={"type": "irrevocable"})
    assert body["data"]["lease_count"] == 1
    await host.call("PUT", f"sys/leases/revoke-force/{MOUNT}", {}, status=204)
