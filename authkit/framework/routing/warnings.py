"""What the framework adds to an answer: warnings about parameters that had no effect.

The texts are those of Vault SDK 0.21, framework/backend.go, HandleRequest.
"""

from __future__ import annotations

from typing import Final

from authkit.framework.routing.calls import Call
from authkit.framework.routing.routes import Route
from authkit.logical import Operation, Response
from authkit.values import replace

__all__ = ["add_warnings"]

_WRITES: Final = frozenset({Operation.CREATE, Operation.UPDATE, Operation.PATCH, Operation.DELETE})


def add_warnings(response: Response | None, call: Call, route: Route) -> Response | None:
    """Add what the handler and the framework have to say.

    An empty answer to a read or list stays empty: that is how a host knows that nothing is there. To
    a write it becomes one with warnings, which the SDK drops.
    """
    warnings = [*call.warnings, *_request_warnings(call, route)]
    if not warnings or (response is None and call.request.operation not in _WRITES):
        return response
    response = response or Response()
    if response.is_error or response.raw is not None or response.redirect:
        return response
    return replace(response, warnings=(*response.warnings, *warnings))


def _request_warnings(call: Call, route: Route) -> list[str]:
    warnings = []
    if call.data.ignored and not route.arbitrary_input:
        names = " ".join(call.data.ignored)
        warnings.append(f"Endpoint ignored these unrecognized parameters: [{names}]")
    if call.data.replaced:
        names = " ".join(call.data.replaced)
        warnings.append(
            "Endpoint replaced the value of these parameters with the values captured from the "
            f"endpoint's path: [{names}]"
        )
    return warnings
