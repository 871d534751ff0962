"""For authors' tests: a plugin behind the rules of a Vault server, with no process and no network.

::

    async with Simulator(Acme) as vault:
        await vault.write("role/dev", token_policies="dev", token_ttl="1h")
        token = await vault.login(role="dev", secret="good")
        assert token.policies == ("default", "dev")

    async with Simulator(Accounts) as vault:
        credential = await vault.issue("creds/app")
        await credential.revoke()
"""

from authkit.host.mounts.memory import InMemoryStorage
from authkit.testing.blocking import BlockingHandlerWarning
from authkit.testing.clock import MovableClock
from authkit.testing.leases import IssuedCredential
from authkit.testing.mounts import MountClient
from authkit.testing.provider_contract import ProviderContract
from authkit.testing.responses import ClientResponse, RefusedError
from authkit.testing.server import RealServer
from authkit.testing.simulator import Audited, SimulatedMount, Simulator
from authkit.testing.storage import HeldCall, StoredEntries
from authkit.testing.tokens import GrantedToken

__all__ = [
    "Audited",
    "BlockingHandlerWarning",
    "ClientResponse",
    "GrantedToken",
    "HeldCall",
    "InMemoryStorage",
    "IssuedCredential",
    "MountClient",
    "MovableClock",
    "ProviderContract",
    "RealServer",
    "RefusedError",
    "SimulatedMount",
    "Simulator",
    "StoredEntries",
]
