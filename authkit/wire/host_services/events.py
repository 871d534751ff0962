"""Events and observations (`pb.Events`, `pb.Observations`; Vault SDK 0.21, plugin/grpc_events.go)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message

from authkit.rpc.interface import Channel
from authkit.wire.host_services._call import CALL_FAILURES, call_host, is_unimplemented, raise_system_error
from authkit.wire.messages import Event, Observation, encode_event, encode_observation
from authkit.wire.pb import backend_pb2 as pb

__all__ = ["HostEvents"]


class HostEvents:
    """Events and observations. A host without them takes both and does nothing."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def send_event(
        self,
        event_type: str,
        *,
        metadata: Mapping[str, Any],
        entity_ids: tuple[str, ...] = (),
        note: str = "",
    ) -> None:
        """Send an event under an id of its own.

        Raises:
            InternalError: the metadata cannot be sent.
            SystemViewError: the host has events, and refused this one.
        """
        from uuid import uuid4

        event = Event(type=event_type, id=str(uuid4()), metadata=metadata, entity_ids=entity_ids, note=note)
        await self._send("/pb.Events/SendEvent", encode_event(event))

    async def record_observation(self, observation_type: str, data: Mapping[str, Any]) -> None:
        """Record an observation.

        Raises:
            InternalError: the data cannot be sent.
            SystemViewError: the host has observations, and refused this one.
        """
        observation = Observation(type=observation_type, data=data)
        await self._send("/pb.Observations/RecordObservation", encode_observation(observation))

    async def _send(self, method: str, message: Message) -> None:
        try:
            await call_host(self._channel, method, message, pb.Empty)
        except CALL_FAILURES as exc:
            if not is_unimplemented(exc):
                raise_system_error(method.rpartition("/")[2], exc)
