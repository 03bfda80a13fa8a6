"""The control plane as the gateway sees it: a child to keep alive. What it orders comes to `admin`.

Apart from `process` so that start and end of the gateway itself can be read without them.
"""

from __future__ import annotations

import asyncio
import os
import signal

from mlengine.serving.gateway.door import say
from mlengine.serving.gateway.settings import Ports

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
# Who lived so long did not die of its start.
STEADY_SECONDS = 10.0
STOP_SECONDS = 10.0


class NeverReady(Exception):
    """The control plane ended before it had ever answered; `code` is for the gateway's own exit."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class ControlPlane:
    """The child process of the control plane, started again whenever it ends.

    The child inherits the read end of a pipe whose only write end is here: the *tether*. When the gateway is
    gone, by whatever death, the tether reads end-of-file, and everything below must end itself.
    """

    def __init__(self, argv: tuple[str, ...], *, ports: Ports) -> None:
        """`argv` starts the child.

        It finds `ports` in MLENGINE_PORT and MLENGINE_TLS_PORT, and the pipe in MLENGINE_TETHER_FD.
        """
        # Whoever knows that it answers sets this. What ends before has a fault that no new start mends.
        self.was_ready = False
        self._argv = argv
        self._ports = ports
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        # Held while a child is being started, so that `stop` never misses one.
        self._starting = asyncio.Lock()
        self._tether, self._held_end = os.pipe()

    async def keep_alive(self) -> None:
        """Run the child, again and again, until `stop`.

        Raises:
            NeverReady: it ended by itself before it was ready for the first time. Why, it has said itself.
        """
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE
        while True:
            began = loop.time()
            try:
                await self._start()
            except OSError as error:
                ended = f"could not be started ({self._argv[0]}: {error.strerror})"
                code = 1
            else:
                code = await self._process.wait() if self._process is not None else 0
                ended = _manner(code)
            if self._stopping:
                return
            if not self.was_ready:
                say(f"The control plane {ended} before it was ready, and so the server ends.")
                raise NeverReady(code if code > 0 else 1)
            if loop.time() - began > STEADY_SECONDS:
                pause = FIRST_PAUSE
            say(f"The control plane {ended}; starting it again in {pause:g} s. Predictions go on.")
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def stop(self) -> None:
        """Ask the child to end, and make it end when it does not within STOP_SECONDS."""
        self._stopping = True
        async with self._starting:
            process = self._process
        if process is not None and process.returncode is None:
            _signal(process, signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                say(f"The control plane did not end within {STOP_SECONDS:g} s of being asked; killing it.")
                _signal(process, signal.SIGKILL)
                await process.wait()
        os.close(self._held_end)
        os.close(self._tether)

    async def _start(self) -> None:
        async with self._starting:
            if not self._stopping:
                self._process = await self._spawn()

    async def _spawn(self) -> asyncio.subprocess.Process:
        environment = os.environ | {
            "MLENGINE_TETHER_FD": str(self._tether),
            "MLENGINE_PORT": str(self._ports.plain),
            "MLENGINE_TLS_PORT": str(self._ports.tls),
        }
        # A session of its own: Ctrl-C in the terminal is for the gateway, which ends things in their order.
        return await asyncio.create_subprocess_exec(
            *self._argv,
            stdin=asyncio.subprocess.DEVNULL,
            env=environment,
            pass_fds=(self._tether,),
            start_new_session=True,
        )


def _manner(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except ProcessLookupError:
        pass
