"""What operators have stored at a mount of the JWT example, to be compared before and after."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import httpx

from livebed.client import ServerError
from livebed.mounts import Mount
from livebed.tokens import Issuer

__all__ = ["RoleWriter", "count_lost", "read_objects", "write_objects"]

ROLES = 20
ISSUERS = 3
USER = "{iss}|{sub}"
"""Two issuers must not be able to name one user."""
PAUSE_SECONDS = 0.05


def write_objects(mount: Mount) -> None:
    """Write roles and issuers beside the configuration and the role `dev` that are there."""
    mount.write_role(user_claim=USER)
    for number in range(ROLES):
        mount.write_role(f"kept-{number}", user_claim=USER, token_ttl=f"{number + 1}m")
    for number in range(ISSUERS):
        mount.client.write(
            f"auth/{mount.path}/issuer/kept-{number}",
            bound_issuer=f"https://kept-{number}.example",
            jwt_validation_pubkeys=Issuer.ec().public_pem,
        )


def read_objects(mount: Mount) -> dict[str, Any]:
    """Return configuration, roles and issuers as reads show them, by path."""
    found = {"config": mount.client.read(f"auth/{mount.path}/config")}
    for kind in ("role", "issuer"):
        for name in mount.client.list(f"auth/{mount.path}/{kind}"):
            found[f"{kind}/{name}"] = mount.client.read(f"auth/{mount.path}/{kind}/{name}")
    return found


def count_lost(before: Mapping[str, Any], after: Mapping[str, Any]) -> int:
    """Return how many objects are gone, or not what they were."""
    return sum(after.get(path) != shown for path, shown in before.items())


@dataclass
class RoleWriter:
    """Writes one role after the other for as long as the context lasts."""

    mounts: Sequence[Mount]
    """The mount at each of the nodes that are asked in turn."""
    written: list[str] = field(default_factory=list)
    """Those whose write was answered: they must be there from then on."""
    refused: int = 0
    ending: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self.thread = threading.Thread(target=self._work)
        self.thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.ending.set()
        self.thread.join()

    def count_lost(self, mount: Mount) -> int:
        """Return how many roles were written and are not there."""
        return len(set(self.written) - set(mount.client.list(f"auth/{mount.path}/role")))

    def _work(self) -> None:
        number = 0
        while not self.ending.wait(PAUSE_SECONDS):
            mount, name = self.mounts[number % len(self.mounts)], f"written-{number}"
            number += 1
            try:
                mount.write_role(name, user_claim=USER)
            except (ServerError, httpx.TransportError):
                self.refused += 1
            else:
                self.written.append(name)
