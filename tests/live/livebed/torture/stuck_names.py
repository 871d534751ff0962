"""Names that are never looked up: what one mount's dead providers take from the threads of the others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from faulty_provider import public_jwk, signing_key
from identity_provider import Provider, serve_provider

from livebed.client import ServerError
from livebed.mounts import Mount, mount_plugin
from livebed.plugins import JWT_LAUNCHER, python_plugin
from livebed.processes import wait_until
from livebed.tokens import Issuer, usual_issuer
from livebed.torture.bed import Bed
from livebed.torture.rows import Row, Size

__all__ = ["never_answer"]

STUCK = """
import socket, threading
look_up = socket.getaddrinfo

def never(host, *arguments, **options):
    name = host.decode() if isinstance(host, bytes) else str(host)
    if name.endswith(".stuck.example"):
        threading.Event().wait()
    return look_up(host, *arguments, **options)

socket.getaddrinfo = never
"""
"""A resolver of the system that never comes back for some names."""
LOGIN_SECONDS = 5.0
"""Who waits for a name that never comes waits longer."""
REFUSED_WITHIN_SECONDS = 20.0
USER = "{iss}|{sub}"


def never_answer(bed: Bed, size: Size) -> Sequence[Row]:
    """Have `size.clients` write issuers with dead names at one mount; look names up at another meanwhile."""
    server = bed.start_server()
    plugin = python_plugin(server.plugin_directory, "stuck", STUCK + JWT_LAUNCHER)
    plugin.register(server.client)
    signer = Issuer(signing_key("one"), "RS256", "one")
    with serve_provider(public_jwk("one")) as provider:
        attacked = bed.stack.enter_context(mount_plugin(server, plugin, usual_issuer()))
        other = bed.stack.enter_context(mount_plugin(server, plugin, usual_issuer()))
        for mount in (attacked, other):
            mount.write_role(user_claim=USER, bound_issuers=["default"])
        provider.url = provider.url.replace("127.0.0.1", "localhost")
        with ThreadPoolExecutor(size.clients) as pool:
            stuck = [pool.submit(write_dead_issuer, attacked, number) for number in range(size.count)]
            pid = server.wait_for_one_process(plugin.command)
            began = time.monotonic()
            looked_up, failed = look_up_often(other, provider, signer, size)
            known = seconds_of_login(attacked)
            took = time.monotonic() - began
            waits = [each.result() for each in stuck]
        wait_until(lambda: seconds_of_login(attacked) < LOGIN_SECONDS, "a login afterwards", timeout=30)
    return [
        Row(
            f"{size.count} requests of {size.clients} clients that need dead names at one mount; meanwhile "
            "logins at it with a static key, and at another mount with providers that are looked up",
            "DNS that never answers",
            {
                "new providers looked up at the other mount": looked_up,
                "in, s": round(took, 1),
                "login at the first mount, s": round(known, 2),
                "slowest refusal, s": round(max(waits), 1),
            },
            {
                "logins at the other mount": failed,
                "logins held up": int(known > LOGIN_SECONDS),
                "requests that hang": sum(each > REFUSED_WITHIN_SECONDS for each in waits),
                "process restarts": int(server.pids_of(plugin.command) != [pid]),
            },
        )
    ]


def write_dead_issuer(mount: Mount, number: int) -> float:
    """Configure an issuer whose host is never found; return how long the refusal took."""
    began, name = time.monotonic(), f"dead-{number}"
    try:
        mount.client.write(
            f"auth/{mount.path}/issuer/{name}",
            bound_issuer=f"https://{name}.stuck.example",
            jwks_url=f"https://{name}.stuck.example/keys",
        )
    except ServerError:
        return time.monotonic() - began
    raise AssertionError("an issuer without a provider was configured")


def look_up_often(mount: Mount, provider: Provider, signer: Issuer, size: Size) -> tuple[int, int]:
    """Configure one issuer after the other, and log in with each; return how many, and how many failed."""
    failed = 0
    for number in range(size.count // 4):
        name = f"https://issuer-{number}.example"
        began = time.monotonic()
        try:
            mount.client.write(
                f"auth/{mount.path}/issuer/live-{number}",
                bound_issuer=name,
                jwks_url=provider.keys_url,
            )
            mount.write_role(user_claim=USER, bound_issuers=[f"live-{number}"])
            mount.login(jwt=signer.token(iss=name))
        except ServerError:
            failed += 1
        failed += time.monotonic() - began > LOGIN_SECONDS
    return size.count // 4, failed


def seconds_of_login(mount: Mount) -> float:
    """Return how long a login with a static key takes."""
    began = time.monotonic()
    mount.login()
    return time.monotonic() - began
