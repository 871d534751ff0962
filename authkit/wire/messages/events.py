"""Events and observations (`pb.SendEventRequest`, `pb.RecordObservationRequest`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from authkit.values import Value, field
from authkit.wire.jsontext import encode_object
from authkit.wire.messages._values import texts
from authkit.wire.pb import backend_pb2 as pb
from authkit.wire.pb.logical_event_pb2 import EventData
from authkit.wire.pb.struct_pb2 import Struct
from authkit.wire.well_known import decode_struct

__all__ = [
    "Event",
    "Observation",
    "decode_event",
    "decode_observation",
    "encode_event",
    "encode_observation",
]


class Event(Value, frozen=True, kw_only=True):
    """One event, as it goes to the host's bus. Set by the plugin."""

    type: str
    id: str
    """A UUID; the bus refuses an event without."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    entity_ids: tuple[str, ...] = ()
    note: str = ""


class Observation(Value, frozen=True, kw_only=True):
    """One observation. Set by the plugin."""

    type: str
    data: Mapping[str, Any] = field(default_factory=dict)


def encode_event(event: Event) -> pb.SendEventRequest:
    """Return the message for an event; its inner message is always set, a host dies without it.

    Raises:
        InternalError: the metadata cannot be sent.
    """
    return pb.SendEventRequest(
        event_type=event.type,
        event=EventData(
            id=event.id,
            metadata=_encode_struct(event.metadata, "metadata"),
            entity_ids=texts(event.entity_ids, "entity_ids"),
            note=event.note,
        ),
    )


def decode_event(message: pb.SendEventRequest) -> Event:
    """Return the event in a message. Numbers are floats, as `Struct` has no others."""
    return Event(
        type=message.event_type,
        id=message.event.id,
        metadata=decode_struct(message.event.metadata),
        entity_ids=tuple(message.event.entity_ids),
        note=message.event.note,
    )


def encode_observation(observation: Observation) -> pb.RecordObservationRequest:
    """Return the message for an observation.

    Raises:
        InternalError: the data cannot be sent.
    """
    return pb.RecordObservationRequest(
        observation_type=observation.type, data=_encode_struct(observation.data, "data")
    )


def decode_observation(message: pb.RecordObservationRequest) -> Observation:
    """Return the observation in a message. Numbers are floats, as `Struct` has no others."""
    return Observation(type=message.observation_type, data=decode_struct(message.data))


def _encode_struct(value: Mapping[str, Any], what: str) -> Struct:
    # By way of the text, so that what may be sent, and as what, is the same everywhere.
    struct = Struct()
    struct.update(json.loads(encode_object(value, what)))
    return struct
