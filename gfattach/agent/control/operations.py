"""What can be asked of an agent over its control socket: from a request's JSON to what is held, and back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gfattach.agent.control.holder import Holder
from gfattach.agent.control.server import Operation
from gfattach.agent.model import log
from gfattach.agent.model.spec import Registration

#: Seconds that whoever waits for forwards is let wait at most.
LONGEST_WAIT_SECONDS = 60.0

#: Pieces of one environment: execve(2) takes 2 MiB of it as a rule, and JSON writes more for that.
MOST_PIECES = 128


class Operations:
    """What is asked of `holder`; `stop` is set to end it all.

    Each raises KeyError, TypeError and ValueError for a request that cannot be read, and GfattachError.
    """

    def __init__(self, holder: Holder, stop: asyncio.Event) -> None:
        self._holder = holder
        self._stop = stop
        self._transfer = ""
        self._pieces: list[str] = []

    @property
    def by_name(self) -> Mapping[str, Operation]:
        """Each operation, by the name that a request says."""
        return {
            "status": self._status,
            "await": self._await,
            "adopt": self._adopt,
            "register": self._register,
            "unregister": self._unregister,
            "log-level": self._log_level,
            "lease": self._set_lease,
            "stop": self._end,
        }

    async def _status(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return self._holder.status().as_json()

    async def _await(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The status, once each forward of these `names` is in one of these `states`, or after `seconds`;
        `anew` only once each was asked after this.
        """
        names, states = frozenset(request["names"]), frozenset(request["states"])
        anew = request.get("anew") is True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(_seconds(request), LONGEST_WAIT_SECONDS)):
                await self._holder.settled(names, states, anew=anew)
        return await self._status(request)

    async def _adopt(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Have the environment of who asks, and what its exec plugin has handed out: a JSON text that is
        larger than a request may be, in pieces. Those of another transfer end one that is not complete.
        """
        if request["transfer"] != self._transfer:
            self._transfer, self._pieces = str(request["transfer"]), []
        self._pieces.append(str(request["piece"]))
        if len(self._pieces) > MOST_PIECES:
            raise ValueError("more than an environment can have")
        if request["last"] is not True:
            return {}
        text, self._pieces = "".join(self._pieces), []
        document = json.loads(text)
        environ, handed = document["environ"], document["credential"]
        if not isinstance(environ, dict) or not all(isinstance(text, str) for text in environ.values()):
            raise ValueError("the environment is none")
        self._holder.adopt(environ, handed)
        return {}

    async def _register(self, request: Mapping[str, Any]) -> dict[str, Any]:
        forwards = await self._holder.register(Registration.from_json(request["registration"]))
        return {"forwards": [forward.as_json() for forward in forwards]}

    async def _unregister(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return {"known": await self._holder.give_up(Path(request["record"]))}

    async def _log_level(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if request["level"] not in log.LEVELS:
            raise ValueError(f"no level of the log: {request['level']!r}")
        log.set_level(request["level"])
        return {}

    async def _set_lease(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._holder.lease = _seconds(request)
        return {}

    async def _end(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._stop.set()
        return {}


def _seconds(request: Mapping[str, Any]) -> float:
    """The `seconds` of a request. Raises KeyError, TypeError and ValueError."""
    seconds = float(request["seconds"])
    if math.isnan(seconds):
        raise ValueError("the seconds are no number")
    return seconds
