"""A plugin whose author does everything wrong, one deed at a time, chosen by the caller.

It stands on `authkit.logical` directly, where nothing of the framework protects the host from it.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from msgspec.structs import force_setattr

from authkit.errors import InternalError, LogicalError, RPCError, StatusCode, StorageError, UserError
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
)

log = logging.getLogger("authkit.backend.naughty")

SECRET_LOOKALIKE = "hvs.CAESIJnaughtynaughtynaughtynaughty"
CHILD_SECONDS = 60

Deed = Callable[[Request], Any]


class Naughty:
    """Serves `login` to everybody and `do` to those with a token; both do what `deed` says."""

    def __init__(self, config: BackendConfig) -> None:
        self.storage = config.storage
        self.help_deed = ""

    @classmethod
    def factory(cls) -> BackendFactory:
        """Return what makes instances."""
        return BackendFactory(build=cls, backend_type=BackendType.CREDENTIAL, version="v0.1.0")

    def special_paths(self) -> Any:
        """Return proper paths."""
        return SpecialPaths(unauthenticated=("login",))

    async def initialize(self) -> None:
        """Do nothing wrong."""

    async def handle_existence_check(self, request: Request) -> Any:
        """Do `exists`, if given."""
        deed = request.data.get("exists")
        return None if deed is None else DEEDS[deed](request)

    async def handle_request(self, request: Request) -> Any:
        """Do the deed that belongs to the operation."""
        if request.operation is Operation.HELP:
            return DEEDS[self.help_deed](request) if self.help_deed else Response(data={"help": "Be good."})
        if request.operation is Operation.RESOLVE_ROLE:
            deed = request.data.get("resolve", "role")
        elif request.operation is Operation.RENEW:
            deed = request.auth.internal_data["renew"] if request.auth else "nothing"
        else:
            deed = request.data.get("deed", "nothing")
            self.help_deed = request.data.get("help", self.help_deed)
        if deed == "store":
            await self.storage.put(StorageEntry("kept", b"1"))
            return None
        answer = DEEDS[deed](request)
        return await answer if asyncio.iscoroutine(answer) else answer

    async def invalidate_key(self, key: str) -> None:
        """Do nothing wrong."""

    async def cleanup(self) -> None:
        """Do nothing wrong."""


# --- answers -----------------------------------------------------------------------------------


def grant(request: Request, **fields: Any) -> Response:
    """Return a good login, with some fields replaced."""
    auth: dict[str, Any] = {
        "alias": Alias(name="naughty"),
        "policies": ("default",),
        "display_name": "naughty",
        "lease": LeaseOptions(ttl=timedelta(hours=1), renewable=True),
        "internal_data": {"renew": request.data.get("renew", "keep")},
    }
    return Response(auth=Auth(**(auth | fields)))


def granted(**fields: Any) -> Deed:
    """Return a deed that grants with some fields replaced."""
    return lambda request: grant(request, **fields)


def answered(**fields: Any) -> Deed:
    """Return a deed that answers."""
    return lambda request: Response(**fields)


def forced(response: Response, **fields: Any) -> Response:
    """Return a response with fields that its constructor would refuse."""
    for name, value in fields.items():
        force_setattr(response, name, value)
    return response


def raised(error: BaseException | type[BaseException]) -> Deed:
    """Return a deed that raises."""

    def deed(request: Request) -> Any:
        raise error

    return deed


class UnknownKindError(LogicalError):
    """An error of a kind that no host knows: it would take it for success."""

    err_type = 99  # type: ignore[assignment]


class MuteError(Exception):
    """An error that cannot even be printed."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class HostileText(str):
    """Text that is none."""

    def __str__(self) -> str:
        return json.dumps({"@message": 1})


def cycle() -> dict[str, Any]:
    """Return data that contains itself."""
    data: dict[str, Any] = {}
    data["self"] = data
    return data


def deep(levels: int) -> Any:
    """Return lists in lists."""
    data: Any = 1
    for _ in range(levels):
        data = [data]
    return data


# --- output ------------------------------------------------------------------------------------

POISON = json.dumps({"@message": 5, "@level": [], "@timestamp": {}}).encode() + b"\n"
"""A line that takes a whole Vault server down when it arrives on standard error (go-plugin 1.6.3)."""


def printing(request: Request) -> None:
    """Print what would stop the host's reader: a line far above 64 KiB, on both streams."""
    for stream in (sys.stdout, sys.stderr):
        print("x" * 200_000, file=stream, flush=True)


def poisoning(request: Request) -> None:
    """Write lines that a host dies of, by every way out of the process."""
    for descriptor in (1, 2):
        os.write(descriptor, POISON)
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        assert stream is not None
        stream.write(POISON.decode())
        stream.flush()
    subprocess.run(["sh", "-c", 'printf "%s\\n" "$0" >&2', POISON.decode().strip()], check=True)
    ctypes.CDLL(None).write(2, POISON, len(POISON))


def logging_nonsense(request: Request) -> None:
    """Log records that no logger expects."""
    keys: Mapping[Any, Any] = {
        "@level": 5,
        "@message": [],
        "@timestamp": None,
        "": 1,
        7: object(),
        "a\nb": "\ud800",
    }
    log.error("reserved keys", extra={"kv": keys})
    log.error("reserved keys", extra={"@message": 5, "@level": []})
    log.error("%d wrong arguments %s", "x")
    log.error("unprintable: %s", MuteError())
    log.error(HostileText("text"))
    log.error('\ud800 \x00 \n{"@message": 5}')
    log.error("y" * 300_000)
    log.log(1000, "far too high")
    log.log(1, "far too low")
    log.error("a number", extra={"kv": {"nan": float("nan"), "huge": 10**400}})


def logging_levels(request: Request) -> None:
    """Log once on each level, a secret and an exception among them."""
    log.debug("naughty at debug", extra={"kv": {"colour": "blue"}})
    log.info("naughty at info")
    log.warning("naughty at warning")
    log.error("naughty at error: %s", SECRET_LOOKALIKE, extra={"kv": {"client_token": SECRET_LOOKALIKE}})
    try:
        raise KeyError("naughty cause")
    except KeyError:
        log.exception("naughty exception")
    print("naughty print")


FORGED_LINE = "2026-01-01T00:00:00.000Z [INFO]  core: this line is forged"


def forging(request: Request) -> None:
    """Log, raise and print what a stranger sent to look like a line of the server's own."""
    text = f"naughty forgery\n{FORGED_LINE}\r\n\x1b[2J\u2028{FORGED_LINE}"
    log.warning("message: %s", text)
    log.warning("pairs", extra={"kv": {"value": text, f"key {text}": 1}})
    logging.getLogger(f"authkit.backend.{text}").warning("module")
    print(text)
    print(text.encode("latin-1", "replace").decode(), file=sys.stderr)
    raise ValueError(text)


# --- the process -------------------------------------------------------------------------------


def spawning(request: Request) -> Response:
    """Leave children behind that hold every inherited stream open."""
    child = subprocess.Popen(["sleep", str(CHILD_SECONDS)], close_fds=False)
    forked = os.fork()
    if forked == 0:
        time.sleep(CHILD_SECONDS)
        os._exit(0)
    return Response(data={"children": [child.pid, forked]})


def exiting_thread(request: Request) -> None:
    """Raise in a thread."""
    threading.Thread(target=sys.exit, args=(3,)).start()
    threading.Thread(target=raised(ValueError("naughty thread")), args=(request,)).start()


def closing(request: Request) -> None:
    """Close the standard streams."""
    for descriptor in (0, 1, 2):
        os.close(descriptor)


async def hanging(request: Request) -> None:
    """Never answer."""
    await asyncio.Event().wait()


def blocking(request: Request) -> None:
    """Hold up the event loop for a while."""
    time.sleep(1)


def leaving_task(error: BaseException) -> Deed:
    """Return a deed that leaves a task behind, which raises."""

    async def fail() -> None:
        raise error

    async def deed(request: Request) -> None:
        asyncio.get_running_loop().create_task(fail())

    return deed


DEEDS: dict[str, Deed] = {
    # proper
    "nothing": lambda request: None,
    "good": grant,
    "role": answered(data={"role": "dev"}),
    "keep": lambda request: Response(auth=request.auth),
    # raises
    "ValueError": raised(ValueError(f"naughty cause {SECRET_LOOKALIKE}")),
    "SystemExit": raised(SystemExit(3)),
    "KeyboardInterrupt": raised(KeyboardInterrupt),
    "CancelledError": raised(asyncio.CancelledError),
    "GeneratorExit": raised(GeneratorExit),
    "MemoryError": raised(MemoryError),
    "RecursionError": raised(RecursionError),
    "StopIteration": raised(StopIteration),
    "BaseException": raised(BaseException("naughty cause")),
    "RPCError": raised(RPCError(StatusCode.PERMISSION_DENIED, "naughty cause")),
    "StorageError": raised(StorageError("naughty cause")),
    "MuteError": raised(MuteError()),
    "unknown kind": raised(UnknownKindError("naughty cause")),
    "no kind": raised(LogicalError("naughty text")),
    "group": raised(ExceptionGroup("naughty cause", [UserError("one"), ValueError("two")])),
    "surrogate": raised(UserError("\ud800")),
    "huge text": raised(InternalError("z" * 5_000_000)),
    # returns what is no answer
    "text": lambda request: "text",
    "number": lambda request: 42,
    "true": lambda request: True,
    "list": lambda request: [],
    "dict": lambda request: {"auth": {"policies": ["root"]}},
    "object": lambda request: object(),
    "class": lambda request: Response,
    "auth alone": lambda request: grant(request).auth,
    # returns an answer that means nothing
    "auth beside error": lambda request: forced(grant(request), data={"error": "no"}),
    "auth beside raw": lambda request: forced(
        grant(request), raw=RawBody(status=200, content_type="text/plain")
    ),
    "auth is text": lambda request: forced(Response(), auth="auth"),
    "data is text": lambda request: forced(Response(), data="text"),
    "data is a list": lambda request: forced(Response(), data=[1]),
    "data holds an object": answered(data={"key": object()}),
    "data holds bytes": answered(data={"key": b"bytes"}),
    "data holds a set": answered(data={"key": {1}}),
    "data holds NaN": answered(data={"key": float("nan")}),
    "data holds infinity": answered(data={"key": float("inf")}),
    "data holds a surrogate": answered(data={"key": "\ud800"}),
    "data holds itself": lambda request: Response(data=cycle()),
    "data is deep": lambda request: Response(data={"key": deep(100_000)}),
    "data has other keys": answered(data={1: 2, None: 3}),
    "error is a number": answered(data={"error": 5}),
    "error is null": answered(data={"error": None}),
    "warnings are numbers": lambda request: forced(Response(), warnings=[1, None]),
    "headers are numbers": lambda request: forced(Response(), headers={"X": 5}),
    "raw without type": answered(raw=RawBody(status=200, body=b"body")),
    "raw status is wild": answered(raw=RawBody(status=7, content_type="text/plain", body=b"x")),
    "raw status is huge": answered(raw=RawBody(status=2**70, content_type="text/plain", body=b"x")),
    "role is a number": answered(data={"role": 5}),
    "role is missing": answered(data={}),
    # grants what makes no sense
    "alias without name": granted(alias=Alias(name="")),
    "alias is text": granted(alias="naughty"),
    "alias name is a number": granted(alias=Alias(name=5)),  # type: ignore[arg-type]
    "policies are text": granted(policies="default"),
    "policies are numbers": granted(policies=(1, None)),
    "root policy": granted(policies=("root",)),
    "metadata holds null": granted(metadata={"key": None}),
    "ttl is negative": granted(lease=LeaseOptions(ttl=timedelta(hours=-1))),
    "ttl is endless": granted(lease=LeaseOptions(ttl=timedelta.max)),
    "ttl is a number": granted(lease=LeaseOptions(ttl=3600)),  # type: ignore[arg-type]
    "lease is missing": granted(lease=None),
    "token type is unknown": granted(token_type=99),
    "uses are negative": granted(num_uses=-1),
    "uses are huge": granted(num_uses=2**70),
    "addresses are nonsense": granted(bound_cidrs=("nonsense",)),
    "internal data is an object": granted(internal_data={"key": object()}),
    "internal data is missing": granted(internal_data=None),
    "group without name": granted(group_aliases=(Alias(name=""),)),
    # prints and logs
    "printing": printing,
    "poisoning": poisoning,
    "logging nonsense": logging_nonsense,
    "logging levels": logging_levels,
    "forging": forging,
    # plays with the process
    "spawning": spawning,
    "exiting thread": exiting_thread,
    "closing": closing,
    "hanging": hanging,
    "blocking": blocking,
    "failing task": leaving_task(ValueError("naughty task")),
    "exiting task": leaving_task(SystemExit(4)),
    "exit": lambda request: os._exit(3),
    "abort": lambda request: os.abort(),
    "SIGKILL": lambda request: os.kill(os.getpid(), signal.SIGKILL),
    "SIGTERM": lambda request: os.kill(os.getpid(), signal.SIGTERM),
    "SIGINT": lambda request: os.kill(os.getpid(), signal.SIGINT),
    "SIGSEGV": lambda request: ctypes.string_at(0),
}


# --- wrong from the start ----------------------------------------------------------------------


class WrongPaths(Naughty):
    """Special paths that a host cannot read."""

    def special_paths(self) -> Any:
        """Return a pattern with a `*` in its middle."""
        return SpecialPaths(unauthenticated=("log*in",))


class NoPaths(Naughty):
    """Special paths that are none."""

    def special_paths(self) -> Any:
        """Return nonsense."""
        return "login"


class WrongSetup(Naughty):
    """Cannot be built."""

    def __init__(self, config: BackendConfig) -> None:
        raise ValueError(f"naughty cause {SECRET_LOOKALIKE}")


class WrongStart(Naughty):
    """Cannot be initialised."""

    async def initialize(self) -> None:
        """Raise."""
        raise ValueError(f"naughty cause {SECRET_LOOKALIKE}")


class WrongEnd(Naughty):
    """Cannot be cleaned up."""

    async def cleanup(self) -> None:
        """Raise."""
        raise ValueError("naughty cause")


class EndlessEnd(Naughty):
    """Never ends cleaning up, and holds the process with a thread."""

    async def cleanup(self) -> None:
        """Wait."""
        threading.Thread(target=time.sleep, args=(CHILD_SECONDS,)).start()
        await asyncio.Event().wait()
