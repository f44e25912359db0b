"""Tokens in the operating system's keyring, which may be missing, locked, or never answer.

Every call is made in a thread of its own and given up after `SECONDS`: a keyring waits for a user to
unlock it, and over a lost session bus it waits for ever. The thread is left behind, and ends with the
process.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from gfattach.core.errors import CredentialError

Answer = TypeVar("Answer")

#: The name under which a keyring shows the entries.
SERVICE = "gfattach"

#: Seconds that a keyring gets for an answer.
SECONDS = 3.0

#: How every error about keyrings ends.
_INSTEAD = "or keep tokens in a private file: gfattach credential login HOST --store file"


class KeyringStore:
    """The keyring that PYTHON_KEYRING_BACKEND names, or `backend`, or else the one that the `keyring` package
    finds: for that it loads every backend there is, which takes longer than all the rest.

    `backend` is, after an answer, the class of the keyring that gave it.
    """

    def __init__(self, backend: str = "", seconds: float = SECONDS) -> None:
        self.backend = backend
        self.seconds = seconds

    @property
    def where(self) -> str:
        """`the keyring (SecretService Keyring)`."""
        return f"the keyring ({self._ask('name itself', lambda ring: str(ring.name))})"

    def save(self, host: str, token: str) -> None:
        """Keep `token` for `host`, and make sure that it is kept. Raises CredentialError."""

        def work(ring: Any) -> bool:
            ring.set_password(SERVICE, host, token)
            return bool(ring.get_password(SERVICE, host) == token)

        if not self._ask("keep a token", work):
            raise CredentialError(
                "the keyring took the token and does not give it back",
                "see which keyring that is: keyring --list-backends",
                _INSTEAD,
                code="credential.keyring.lost",
            )

    def load(self, host: str) -> str | None:
        """The token for `host`; None when there is none. Raises CredentialError."""
        token = self._ask("give a token", lambda ring: ring.get_password(SERVICE, host))
        return token if isinstance(token, str) else None

    def delete(self, host: str) -> bool:
        """Forget the token for `host`; whether there was one. Raises CredentialError."""

        def work(ring: Any) -> bool:
            if ring.get_password(SERVICE, host) is None:
                return False
            ring.delete_password(SERVICE, host)
            return True

        return self._ask("forget a token", work)

    def _ask(self, what: str, work: Callable[[Any], Answer]) -> Answer:
        """What `work` makes of the keyring, within the time that a keyring gets."""
        answers: list[Answer] = []
        failures: list[BaseException] = []

        def call() -> None:
            try:
                ring = _keyring(self.backend)
                answer = work(ring)
                self.backend = f"{type(ring).__module__}.{type(ring).__qualname__}"
                answers.append(answer)
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=call, name="keyring", daemon=True)
        with _unheard():
            thread.start()
            thread.join(self.seconds)
        if answers:
            return answers[0]
        if not failures:
            raise CredentialError(
                f"the keyring was asked to {what} and gave no answer within {self.seconds:.0f} s",
                "it may wait for somebody to unlock it: look for its window, or log in to the desktop",
                _INSTEAD,
                code="credential.keyring.silent",
            )
        raise _typed(what, failures[0]) from failures[0]


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Have nothing reach stdout: what a backend, a library of it or its program prints there would stand in
    the answer to Bazel, and may be what was to be kept. What is there already comes out afterwards.
    """
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        kept = os.dup(1)
        try:
            os.dup2(nowhere.fileno(), 1)
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)


def _keyring(backend: str) -> Any:
    from keyring import core
    from keyring.backends import fail, null

    ring = None
    if backend and not os.environ.get("PYTHON_KEYRING_BACKEND"):
        with contextlib.suppress(Exception):  # it is not there any more: another one may have what it had
            ring = core.load_keyring(backend)
    if ring is None:
        ring = core.get_keyring()
    if isinstance(ring, fail.Keyring | null.Keyring):
        raise _missing()
    return ring


def _missing() -> CredentialError:
    return CredentialError(
        "this machine has no keyring that gfattach could use",
        "with a desktop, start its keyring (gnome-keyring, KWallet); to see them: keyring --list-backends",
        _INSTEAD,
        code="credential.keyring.missing",
    )


def _typed(what: str, error: BaseException) -> CredentialError:
    """The error for what a backend raised. Its text is not repeated: it may hold what was to be kept."""
    if isinstance(error, CredentialError):
        return error
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"NoKeyringError", "ImportError", "InitError"}:
        return _missing()
    if "KeyringLocked" in names:
        return CredentialError(
            f"the keyring is locked, and was asked to {what}",
            "unlock it, and run it again",
            _INSTEAD,
            code="credential.keyring.locked",
        )
    return CredentialError(
        f"the keyring was asked to {what} and failed ({type(error).__name__})",
        "see which keyring that is: keyring --list-backends",
        _INSTEAD,
        code="credential.keyring.failed",
    )
