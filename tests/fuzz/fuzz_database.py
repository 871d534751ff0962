"""What a server sends to a database plugin."""

from __future__ import annotations

from collections.abc import Iterable

from database_fakes import PASSWORD, Host
from fuzz_target import Fields, Taker, Target, check, joined
from fuzz_wire import call_service

from authkit.wire.pb import database_pb2 as pb

__all__ = ["GUIDED_BY", "TARGETS"]

GUIDED_BY = ("authkit.database", "authkit.credentials", "authkit.framework.fields", "authkit.wire")
"""Whose branches guide the fuzzer: measuring all of authkit would take most of the time."""

METHODS = {
    "Initialize": (pb.InitializeRequest, pb.InitializeResponse),
    "NewUser": (pb.NewUserRequest, pb.NewUserResponse),
    "UpdateUser": (pb.UpdateUserRequest, pb.UpdateUserResponse),
    "DeleteUser": (pb.DeleteUserRequest, pb.DeleteUserResponse),
    "Type": (pb.Empty, pb.TypeResponse),
    "Close": (pb.Empty, pb.Empty),
}
USERS_KEPT = 500
"""Cases that one plugin serves: what they make must not add up."""


class Databases(Taker):
    """A plugin for a database in memory."""

    def __init__(self) -> None:
        self.cases = 0

    async def take(self, case: bytes) -> None:
        """Make one call, with the case as its message or as the texts in it."""
        if self.cases % USERS_KEPT == 0:
            self.host = Host()
            await self.host.initialize("a")
        self.cases += 1
        fields = Fields(case, 1)
        name = list(METHODS)[fields.choices[0] % len(METHODS)]
        data = fields.rest if fields.choices[0] >= 128 else _message(name, fields)
        mount = "a" if name not in ("Close", "Initialize") else "b"
        before = len(self.host.shelf.done)
        reply = await call_service(self.host.methods, f"/dbplugin.v5.Database/{name}", data, mount)
        if reply is None:
            return
        answer = METHODS[name][1].FromString(reply)
        if name == "NewUser":
            password = pb.NewUserRequest.FromString(data).password
            check(self.host.shelf.users.get(answer.username) == password, "a user that was not made")
            check(password, "a user without a password")
        if name in ("NewUser", "UpdateUser", "DeleteUser"):
            check(len(self.host.shelf.done) > before, "an answer although nothing was done")


def _message(name: str, fields: Fields) -> bytes:
    if name == "NewUser":
        request = pb.NewUserRequest(
            username_config=pb.UsernameConfig(display_name=fields.text(0), role_name=fields.text(1)),
            password=fields.text(2),
            statements=pb.Statements(Commands=[fields.text(3)]),
        )
        request.expiration.seconds = int.from_bytes(fields.part(4)[:8], signed=True)
        return request.SerializeToString()
    if name == "UpdateUser":
        request = pb.UpdateUserRequest(username=fields.text(0))
        request.password.new_password = fields.text(2)
        request.password.statements.Commands.append(fields.text(3))
        return request.SerializeToString()
    if name == "DeleteUser":
        statements = pb.Statements(Commands=[fields.text(3)])
        return pb.DeleteUserRequest(username=fields.text(0), statements=statements).SerializeToString()
    if name == "Initialize":
        request = pb.InitializeRequest(verify_connection=True)
        request.config_data.update(
            {"host": fields.text(0), "username_template": fields.text(3), fields.text(1): 1}
        )
        return request.SerializeToString()
    return fields.rest


def _seeds() -> Iterable[bytes]:
    template = b"v-{{.DisplayName | truncate 8}}-{{random 20}}"
    for number in range(len(METHODS)):
        for statement in (b"CREATE {{name}} '{{password}}'", b"a;b;;'c;d'", b"{{", template):
            yield joined([number], b"token", b"role", PASSWORD.encode(), statement, bytes([0, 0, 0, 0, 99]))
    user = pb.NewUserRequest(username_config=pb.UsernameConfig(role_name="app"), password=PASSWORD)
    for number in range(len(METHODS)):
        yield joined([128 + number], user.SerializeToString())


TARGETS = [Target("database", "every call of a server to a database plugin", Databases, _seeds)]
