"""Credentials for downloads: Bazel's credential helper, netrc, and the tokens that are stored here.

They go into the header of a request to the host that they are for, over TLS or to this machine, and nowhere
else: not into URLs, reports, arguments or files. A redirect to another host is asked for anew.
"""

from __future__ import annotations

import base64
import json
import netrc
import shlex
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from gfattach.core.endpoint import is_localhost
from gfattach.core.errors import CredentialError, UsageError
from gfattach.core.redact import register

#: Seconds that a credential helper may take; Bazel gives it ten by default.
HELPER_SECONDS = 10.0


class Helper(Struct, frozen=True):
    """A credential helper: `pattern` is a host, `*.DOMAIN`, or "" for every host (Bazel's own grammar)."""

    pattern: str
    program: Path

    @classmethod
    def parse(cls, said: str) -> Helper:
        """`[PATTERN=]PATH`, as Bazel's `--credential_helper` takes it. Raises UsageError."""
        pattern, sign, path = said.rpartition("=")
        program = Path(path).expanduser()
        if not program.is_absolute() or not program.is_file():
            raise UsageError(
                f"{path} is no credential helper: it is no file with a path from the root",
                "name it: --credential-helper [HOST=]/PATH",
                code="inputs.credential.helper",
            )
        return cls(pattern.lower() if sign else "", program)

    def fits(self, host: str) -> bool:
        """Whether it is to be asked for `host`."""
        if self.pattern.startswith("*."):
            return host.endswith(self.pattern[1:])
        return self.pattern in ("", host)

    @property
    def rank(self) -> int:
        """The most specific one is asked: a host before a domain before all."""
        return 0 if not self.pattern else 1 if self.pattern.startswith("*.") else 2


class Credentials:
    """The headers for a URL. What was found for a host is kept for as long as this object."""

    def __init__(self, helpers: Sequence[Helper], environ: Mapping[str, str]) -> None:
        self._helpers = sorted(helpers, key=lambda each: -each.rank)
        self._environ = environ
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, str]] = {}
        self._netrc: netrc.netrc | None = None
        self._netrc_read = False

    def headers(self, url: str) -> dict[str, str]:
        """The headers for `url`, {} where nobody has any. Raises CredentialError and StorageError."""
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        if not host or not (parts.scheme == "https" or is_localhost(host)):
            return {}  # in plaintext everybody on the path would read it
        helper = next((each for each in self._helpers if each.fits(host)), None)
        # A helper may answer differently for each path; the other sources go by the host alone.
        key = url if helper is not None else host
        with self._lock:
            if key not in self._known:
                found = self._ask(helper, url) if helper else self._by_host(parts, host)
                for value in found.values():
                    register(value)
                    register(value.partition(" ")[2])
                self._known[key] = found
            return self._known[key]

    def _by_host(self, parts: SplitResult, host: str) -> dict[str, str]:
        entry = self._entry(host)
        if entry is not None:
            login, _, password = entry
            pair = base64.b64encode(f"{login or ''}:{password or ''}".encode()).decode()
            register(password or "")
            return {"Authorization": f"Basic {pair}"}
        from gfattach.credential.tokens import token_for

        name = host if parts.port is None else f"{host}:{parts.port}"
        token = None if is_localhost(host) else token_for(name, self._environ)
        return {} if token is None else {"Authorization": f"Bearer {token}"}

    def _entry(self, host: str) -> tuple[str, str | None, str | None] | None:
        if not self._netrc_read:
            self._netrc_read = True
            self._netrc = self._read_netrc()
        found = None if self._netrc is None else self._netrc.authenticators(host)
        return found or None

    def _read_netrc(self) -> netrc.netrc | None:
        named = self._environ.get("NETRC")
        path = Path(named) if named else Path(self._environ.get("HOME", "/nonexistent")) / ".netrc"
        if not path.is_file():
            return None
        try:
            return netrc.netrc(str(path))
        except (netrc.NetrcParseError, OSError, UnicodeDecodeError) as error:
            line = getattr(error, "lineno", None)
            where = f"{path}:{line}" if line else str(path)
            raise CredentialError(
                f"{where} cannot be read as a netrc",
                f"see whose it is, and its mode (0600): ls -l {shlex.quote(str(path))}",
                code="inputs.credential.netrc",
            ) from error

    def _ask(self, helper: Helper, url: str) -> dict[str, str]:
        """What the helper answers for `url` (the Credential Helpers Specification)."""
        fault = ""
        try:
            done = subprocess.run(
                [str(helper.program), "get"],
                input=json.dumps({"uri": url}).encode(),
                capture_output=True,
                timeout=HELPER_SECONDS,
                env=dict(self._environ),
                check=False,
            )
            if done.returncode == 0:
                said = json.loads(done.stdout).get("headers") or {}
                return {str(name): str(values[0]) for name, values in said.items() if values}
            fault = f"it exited with {done.returncode}"
        except subprocess.TimeoutExpired:
            fault = f"it gave no answer within {HELPER_SECONDS:.0f} s"
        except OSError as error:
            fault = (error.strerror or str(error)).lower()
        except (ValueError, AttributeError, TypeError, KeyError, IndexError):
            fault = "its answer is none of a credential helper"
        raise CredentialError(
            f"the credential helper {helper.program} cannot be used for {urlsplit(url).hostname}: {fault}",
            'try it: echo \'{"uri": "https://HOST/"}\' | ' + f"{shlex.quote(str(helper.program))} get",
            code="inputs.credential.helper",
        )


def helpers_of(said: Sequence[str], environ: Mapping[str, str]) -> tuple[Helper, ...]:
    """The helpers that options name, or else the variable BAZEL_CREDENTIAL_HELPER. Raises UsageError."""
    lines = said or [line.strip() for line in environ.get("BAZEL_CREDENTIAL_HELPER", "").splitlines()]
    return tuple(Helper.parse(line) for line in lines if line)
