"""A Nix store of its own, in a directory that is thrown away.

`local?root=DIR` keeps the logical store `/nix/store`, so that it takes the paths of every normal
cache, and keeps all of it below DIR: no daemon, no trust, no root. Every directory that Nix goes by is
set, because a Nix that is left one of them makes or reads the machine's (`/nix/var`, `/etc/nix`, the
user's caches and netrc).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from gfattach.core.errors import UsageError
from gfattach.core.files import make_private_directory, remove_tree, storage_error, write_atomic

#: Variables of the user's that go along: what finds programs, what names a language, and which
#: certificate authorities to trust.
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZDIR", "NIX_SSL_CERT_FILE", "SSL_CERT_FILE", "LD_LIBRARY_PATH")

#: Settings of every isolated store: it builds nothing, has nothing built elsewhere, and takes
#: nothing that is not signed by a key that it is given.
BASE_SETTINGS: Mapping[str, str] = {
    "build-users-group": "",
    "builders": "",
    "fallback": "false",
    "fsync-metadata": "false",
    "max-jobs": "0",
    "require-sigs": "true",
    "sandbox": "false",
    "substitute": "true",
    "substituters": "",
    "trusted-public-keys": "",
}

_DIRECTORIES = ("root", "state", "log", "conf", "home", "cache", "tmp")


class IsolatedStore:
    """An empty store in a new directory below `work`, gone with all it holds at the end of a `with`.

    `settings` are further settings by name; `netrc` is the content of a private netrc (0600), which
    goes when the store goes; `variables` are added to the environment. Raises UsageError for a
    setting that cannot be written, and StorageError.
    """

    def __init__(
        self,
        work: Path,
        settings: Mapping[str, str],
        *,
        netrc: str = "",
        variables: Mapping[str, str] | None = None,
        environ: Mapping[str, str],
    ) -> None:
        configuration = _configuration({**BASE_SETTINGS, **settings})
        # Nix refuses a store below a symbolic link.
        work = make_private_directory(work).resolve()
        try:
            self.directory = Path(tempfile.mkdtemp(prefix="nix-store.", dir=work))
        except OSError as error:
            raise storage_error("make a directory in", work, error) from error
        try:
            for name in _DIRECTORIES:
                make_private_directory(self.directory / name)
            write_atomic(self.directory / "conf" / "nix.conf", configuration.encode())
            write_atomic(self.directory / "conf" / "netrc", netrc.encode())
        except BaseException:
            self.remove()
            raise
        self.environment = self._environment(environ, variables or {})

    @property
    def root(self) -> Path:
        """What stands for `/`: a store path P is at `root` + P."""
        return self.directory / "root"

    @property
    def uri(self) -> str:
        """The store, for `--store`."""
        return f"local?root={quote(str(self.root))}"

    @property
    def cache_directory(self) -> Path:
        """Where its Nix keeps what it knows of binary caches."""
        return self.directory / "cache" / "nix"

    def remove(self) -> None:
        """Take it away, though store paths are read-only. Raises StorageError."""
        remove_tree(self.directory)

    def __enter__(self) -> IsolatedStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def _environment(self, environ: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
        place = {
            name: str(self.directory / name) for name in ("state", "log", "conf", "home", "cache", "tmp")
        }
        kept = {name: environ[name] for name in KEPT_VARIABLES if name in environ}
        own = {
            "HOME": place["home"],
            "TMPDIR": place["tmp"],
            "XDG_CACHE_HOME": place["cache"],
            "XDG_CONFIG_HOME": place["home"],
            "XDG_CONFIG_DIRS": place["home"],
            "XDG_DATA_HOME": place["home"],
            "XDG_STATE_HOME": place["home"],
            "NIX_CONF_DIR": place["conf"],
            "NIX_LOG_DIR": place["log"],
            "NIX_STATE_DIR": place["state"],
            "NIX_USER_CONF_FILES": str(self.directory / "home" / "nix.conf"),
            "NIX_REMOTE": self.uri,
        }
        return {**kept, **own, **variables}


def _configuration(settings: Mapping[str, str]) -> str:
    """The nix.conf that says this. Raises UsageError for a value that would say something else."""
    for name, value in settings.items():
        if not value.isprintable() or "#" in value:
            raise UsageError(
                f"{value[:120]!r} cannot be the value of {name} in a nix.conf",
                "a value there is one line, and # begins a comment",
                code="nix.setting",
            )
    return "".join(f"{name} = {value}\n" for name, value in settings.items())
