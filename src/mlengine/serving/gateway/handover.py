"""The gateway's end of handing connections over: bulk data goes past it, and what predicts comes back."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from mlengine.serving.gateway.http import ClientConnection
from mlengine.web.handover import Handover, is_bulk

if TYPE_CHECKING:
    from mlengine.serving.gateway.door import Door


class Bulk:
    """Gives connections to the control plane, and takes those that it gives back.

    Args:
        door: Its settings name the sockets of both ends.
        loopback: Whether only this machine reaches the gateway.
    """

    def __init__(self, door: Door, *, loopback: bool) -> None:
        self._door = door
        self._loopback = loopback
        settings = door.settings
        self._handover = Handover(Path(settings.back_socket), Path(settings.bulk_socket))
        self._handover.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._handover.fileno(), self._come_back)
        self._arriving: set[asyncio.Task[None]] = set()

    def offer(self, transport: asyncio.Transport, data: bytes) -> bool:
        """Hand the connection over if `data`, a request's beginning, is for the control plane alone.

        It is out of our hands then, and the transport is to be dropped.
        """
        if not is_bulk(data) or transport.get_write_buffer_size():
            return False
        # Until we have closed our descriptor, which comes soon, no byte must go to us.
        transport.pause_reading()
        given = self._handover.give(
            transport.get_extra_info("socket").fileno(), data, loopback=self._loopback
        )
        if not given:
            transport.resume_reading()
        return given

    def close(self) -> None:
        """Take none back any more."""
        self._loop.remove_reader(self._handover.fileno())
        self._handover.close()
        for task in self._arriving:
            task.cancel()

    def _come_back(self) -> None:
        try:
            taken = self._handover.take()
        except OSError:
            return
        if taken is None:
            return
        connection, ahead, _ = taken
        connection.setblocking(False)
        task = self._loop.create_task(self._arrive(connection, ahead))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def _arrive(self, connection: socket.socket, ahead: bytes) -> None:
        door = self._door
        try:
            await self._loop.connect_accepted_socket(
                lambda: ClientConnection(door, door.plain, ahead=ahead), connection
            )
        except OSError:
            connection.close()
