"""The example of an object: a write that documents show, and with which `authkit dev` begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authkit.errors import FieldError, UserError
from authkit.framework.fields.schema import FieldData
from authkit.framework.models import Model
from authkit.framework.routing.routes import OperationInfo
from authkit.logical import Operation

__all__ = ["describe_example"]


def describe_example(model: type[Model], example: Mapping[str, Any] | None) -> dict[Operation, OperationInfo]:
    """Return what documents say of writes with this example; nothing without one.

    Raises:
        TypeError: a write of the example would be refused, or ignore a part of it.
    """
    if example is None:
        return {}
    unknown = sorted(example.keys() - model.schema.keys())
    if unknown:
        raise TypeError(f"the example of {model.__name__} names {unknown[0]!r}, which is not a field")
    try:
        data = FieldData.read(model.schema, example, {})
        model.overlaid(None, data.values).verify()
    except (FieldError, UserError) as error:
        raise TypeError(f"the example of {model.__name__} would be refused: {error}") from error
    info = OperationInfo(examples=(dict(example),))
    return {Operation.CREATE: info, Operation.UPDATE: info}
