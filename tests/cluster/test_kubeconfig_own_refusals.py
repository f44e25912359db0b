"""What gfattach refuses and kubectl takes: each stands in docs/kubeconfig.md with its reason, and is shown
here.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from gfattach.cluster.connection import ClusterRef
from gfattach.cluster.kubeconfig.resolve import resolve
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError
from tests.harness.cluster.kubeconfigs import V1, Room, account_token, needs_kubectl, room
from tests.harness.machine.developer import ROOT

__all__ = ["account_token", "room"]

pytestmark = needs_kubectl

PAGE = (ROOT / "docs/kubeconfig.md").read_text()


@dataclass(frozen=True)
class Refusal:
    """`arrange` makes the files; kubectl gets through, says `words` when it is on its way, or asks an
    issuer.
    """

    what: str
    code: str
    arrange: Callable[[Room], None]
    words: str = ""
    issuer: bool = False


def by_a_pipe(room: Room) -> None:
    """As a shell makes it for `--kubeconfig <(...)`."""
    room.write()
    content, path = room.files[0].read_bytes(), room.directory / "pipe"
    os.mkfifo(path)

    def feed() -> None:
        for _ in range(3):
            with path.open("wb") as pipe:
                pipe.write(content)
            time.sleep(0.2)

    threading.Thread(target=feed, daemon=True).start()
    room.files[:] = [path]
    room.explicit = True


def padded(room: Room) -> None:
    room.write()
    with room.files[0].open("a") as file:
        file.write("\n" + "# padding\n" * 500_000)


def nested(room: Room) -> None:
    room.write()
    document = json.loads(room.files[0].read_text())
    deep = "[" * 80 + "]" * 80
    extension = f'"extensions": [{{"name": "deep", "extension": {deep}}}]'
    # Not to be read as JSON, which has no levels to count.
    room.files[0].write_text("# deep\n" + json.dumps(document)[:-1] + f", {extension}}}")


def with_a_password_in_the_url(room: Room) -> None:
    room.write(cluster={"server": room.server.replace("https://", "https://someone:secret@")})


def with_a_slow_plugin(room: Room) -> None:
    room.environ["GFATTACH_PLUGIN_SECONDS"] = "0.3"
    room.write(room.plugin(f"sleep 2\n{room.exec_credential(token=room.token)}", apiVersion=V1))


def with_nothing_current(room: Room) -> None:
    room.write(current="")


def empty(room: Room) -> None:
    room.add("config", "")


def missing(room: Room) -> None:
    room.files.append(room.directory / "gone")


#: Whoever has asked an issuer of id-tokens.
ASKED: list[object] = []


def with_an_expired_id_token(room: Room) -> None:
    """Its issuer closes on who asks."""
    issuer = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            connection, address = issuer.accept()
            ASKED.append(address)
            connection.close()

    threading.Thread(target=serve, daemon=True).start()
    claims = base64.urlsafe_b64encode(b'{"exp": 1}').decode().rstrip("=")
    config = {
        "idp-issuer-url": f"https://127.0.0.1:{issuer.getsockname()[1]}/issuer",
        "client-id": "kube",
        "id-token": f"e30.{claims}.c2ln",
        "refresh-token": "r",
    }
    room.write({"auth-provider": {"name": "oidc", "config": config}})


NOWHERE = "localhost:8080"

REFUSALS = (
    Refusal("a kubeconfig that is a pipe", "cluster.kubeconfig.unreadable", by_a_pipe),
    Refusal("a kubeconfig of more than 4 MiB", "cluster.kubeconfig.large", padded),
    Refusal("more than 64 levels of lists and mappings", "cluster.kubeconfig.yaml", nested),
    Refusal("a user in the server's URL", "cluster.kubeconfig.server", with_a_password_in_the_url),
    Refusal("a plugin that takes longer", "cluster.credential.plugin-silent", with_a_slow_plugin),
    Refusal("no current context", "cluster.context.none", with_nothing_current, NOWHERE),
    Refusal("an empty kubeconfig", "cluster.kubeconfig.empty", empty, NOWHERE),
    Refusal("no kubeconfig", "cluster.kubeconfig.missing", missing, NOWHERE),
    Refusal(
        "an id-token that expired",
        "cluster.credential.auth-provider",
        with_an_expired_id_token,
        issuer=True,
    ),
)


def refused(room: Room) -> str:
    """The code with which gfattach refuses it."""
    ref = ClusterRef(tuple(room.files[:1]) if room.explicit else None)
    with pytest.raises(ClusterError) as caught:
        resolve(ref, Deadline.after(30), room.environment)
    return caught.value.code


@pytest.mark.parametrize("refusal", REFUSALS, ids=[each.what for each in REFUSALS])
def test_what_is_refused_here_alone_is_taken_by_kubectl_and_stands_on_the_page(
    room: Room, refusal: Refusal
) -> None:
    refusal.arrange(room)
    user, said = room.kubectl()
    if refusal.issuer:
        assert ASKED
    elif refusal.words:
        assert refusal.words in said
    else:
        assert user is not None, said
    assert refused(room) == refusal.code
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| {refusal.what} |"))
    assert f"`{refusal.code}`" in row


def test_the_page_has_no_refusal_that_is_not_shown_here() -> None:
    rows = [line.split("|")[1].strip() for line in PAGE.splitlines() if line.count("|") == 5]
    assert rows[2:] == [refusal.what for refusal in REFUSALS]


def test_a_pipe_is_one(room: Room) -> None:
    """What the first case hands over is what a shell's `<(...)` is."""
    by_a_pipe(room)
    assert stat.S_ISFIFO(room.files[0].stat().st_mode)
    room.kubectl()
