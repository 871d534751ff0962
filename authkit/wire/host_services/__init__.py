"""The host's services for one mount, behind the Protocols of `authkit.logical`.

The caller hands in the connected channel; the framework caches.
"""

from authkit.wire.host_services._call import HOST_CALL_TIMEOUT
from authkit.wire.host_services.events import HostEvents
from authkit.wire.host_services.storage import HostStorage
from authkit.wire.host_services.system import HostSystemView

__all__ = ["HOST_CALL_TIMEOUT", "HostEvents", "HostStorage", "HostSystemView"]
