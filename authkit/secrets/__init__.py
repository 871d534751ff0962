"""What every secrets engine repeats: leased credentials, their renewal and revocation, rotation.

The names that an engine needs beside those of `authkit`.
"""

from authkit.secrets.calls import SLACK, CredsCall, RenewCall, RevokeCall, RotateCall
from authkit.secrets.credentials import credentials
from authkit.secrets.engine import SecretsEngine
from authkit.secrets.leases import Lease, Renewal
from authkit.secrets.root_rotation import root_rotation
from authkit.secrets.rotation import rotated
from authkit.secrets.schedules import RotatedRole

__all__ = [
    "SLACK",
    "CredsCall",
    "Lease",
    "RenewCall",
    "Renewal",
    "RevokeCall",
    "RotateCall",
    "RotatedRole",
    "SecretsEngine",
    "credentials",
    "root_rotation",
    "rotated",
]
