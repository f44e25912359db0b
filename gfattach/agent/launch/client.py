"""The control client: what the command line asks of an agent. Synchronous, and small."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from gfattach.agent.model.spec import Registration
from gfattach.agent.model.status import AgentStatus, ForwardStatus, State
from gfattach.core.daemon.readiness import error_of
from gfattach.core.deadline import Deadline
from gfattach.core.errors import AgentError

_VERSION = 1

Answer = TypeVar("Answer")

#: Characters of an environment that go in one request.
_PIECE_CHARACTERS = 64 * 1024

#: Bytes of an answer.
_ANSWER_BYTES = 4 * 1024 * 1024


class AgentClient:
    """Talks to the agent behind the control socket `control`, a connection a question.

    Everything raises AgentError: `agent.gone` where no agent listens, `agent.silent` where no answer comes
    in time, `agent.request` where the agent does not understand.
    """

    def __init__(self, control: Path) -> None:
        self.control = control

    def status(self, deadline: Deadline) -> AgentStatus:
        """How the agent and its forwards are."""
        return _read(AgentStatus.from_json, self._ask(deadline, "status"))

    def adopt(
        self, environ: Mapping[str, str], credential: Mapping[str, Any] | None, deadline: Deadline
    ) -> None:
        """Have the agent go by this environment, and by what an exec plugin has handed out here (its JSON,
        None for nothing), from now on.
        """
        text = json.dumps({"environ": dict(environ), "credential": credential})
        pieces = [text[at : at + _PIECE_CHARACTERS] for at in range(0, len(text), _PIECE_CHARACTERS)]
        transfer = os.urandom(8).hex()
        for number, piece in enumerate(pieces, 1):
            last = number == len(pieces)
            self._ask(deadline, "adopt", transfer=transfer, piece=piece, last=last)

    def awaited(
        self,
        names: Collection[str],
        states: Collection[State],
        seconds: float,
        deadline: Deadline,
        *,
        anew: bool = False,
    ) -> AgentStatus:
        """As `status`, once each of the forwards `names` is in one of `states`, or after `seconds`; `anew`
        lets only an answer count that was asked for after this.

        One that is not held is not waited for. `deadline` is for the answer, and has to be later than that.
        """
        asked = {"names": list(names), "states": list(states), "seconds": seconds, "anew": anew}
        return _read(AgentStatus.from_json, self._ask(deadline, "await", **asked))

    def register(self, registration: Registration, deadline: Deadline) -> tuple[ForwardStatus, ...]:
        """Have these forwards held; returns when their listeners are there, with where they are.

        Raises AgentError (`agent.port`, `.socket`, `.address`, `.conflict`, `.record`) and StorageError.
        """
        answer = self._ask(deadline, "register", registration=registration.as_json())
        return _read(lambda said: tuple(map(ForwardStatus.from_json, said["forwards"])), answer)

    def unregister(self, record: Path, deadline: Deadline) -> bool:
        """Release the forwards of `record`; whether there was anything of the kind."""
        return bool(self._ask(deadline, "unregister", record=str(record)).get("known"))

    def set_log_level(self, level: str, deadline: Deadline) -> None:
        """Log from `level` on: debug, info, warning or error."""
        self._ask(deadline, "log-level", level=level)

    def set_lease(self, seconds: float, deadline: Deadline) -> None:
        """Let the agent end after `seconds` without any use by a client."""
        self._ask(deadline, "lease", seconds=seconds)

    def stop(self, deadline: Deadline) -> None:
        """Ask the agent to end. It answers, and ends then."""
        self._ask(deadline, "stop")

    def _ask(self, deadline: Deadline, op: str, **arguments: Any) -> dict[str, Any]:
        request = json.dumps({"version": _VERSION, "op": op, **arguments}).encode() + b"\n"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(max(0.001, deadline.remaining()))
                connection.connect(str(self.control))
                connection.sendall(request)
                line = _line(connection, deadline)
        except TimeoutError as error:
            raise AgentError(
                "the agent gave no answer in time",
                "end it, and attach again: gfattach up",
                code="agent.silent",
            ) from error
        except OSError as error:
            raise AgentError(
                f"no agent answers at {self.control}", "start one: gfattach up", code="agent.gone"
            ) from error
        try:
            answer = json.loads(line)
            if answer["ok"] is True:
                result: dict[str, Any] = answer["result"]
                return result
            raise error_of(answer["error"], AgentError)
        except (KeyError, TypeError, ValueError) as error:
            raise _unreadable() from error


def _line(connection: socket.socket, deadline: Deadline) -> bytes:
    said = bytearray()
    while not said.endswith(b"\n"):
        connection.settimeout(max(0.001, deadline.remaining()))
        more = connection.recv(65536)
        if not more or len(said) > _ANSWER_BYTES:
            raise ConnectionError("the answer ended early")
        said += more
    return bytes(said)


def _read(read: Callable[[dict[str, Any]], Answer], answer: dict[str, Any]) -> Answer:
    try:
        return read(answer)
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable() from error


def _unreadable() -> AgentError:
    return AgentError(
        "the agent's answer cannot be read: it is of another version",
        "start it anew: gfattach down, and gfattach up",
        code="agent.request",
    )
