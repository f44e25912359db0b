"""What the commands on inputs share: the workspace, its Bazel, its contract, and where inputs may be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from gfattach.contract.environment import detached
from gfattach.core.errors import UsageError
from gfattach.core.paths import Home, resolve_home
from gfattach.inputs.contract.coverage import Shelf, shelf_of
from gfattach.inputs.contract.document import FILE_NAME
from gfattach.site.inputs import with_site_inputs
from gfattach.site.load import load_site
from gfattach.site.site import Site

#: Files by which a directory is a workspace of Bazel's.
MARKERS = ("MODULE.bazel", "WORKSPACE.bazel", "WORKSPACE", "REPO.bazel")


class InputsOptions(Struct, frozen=True):
    """What every command on inputs is given.

    `targets` are patterns, `bazel` names the program, `bazel_options` go to each of its commands, `contract`
    is a file. `environ` and `directory` are the shell's.
    """

    environ: Mapping[str, str]
    directory: Path
    workspace: Path | None = None
    targets: tuple[str, ...] = ()
    bazel: str | None = None
    bazel_options: tuple[str, ...] = ()
    contract: Path | None = None
    distdirs: tuple[Path, ...] = ()
    repository_cache: Path | None = None

    @property
    def home(self) -> Home:
        """The home of the workspace. Raises UsageError."""
        return resolve_home(self.workspace, self.directory)

    @property
    def root(self) -> Path:
        """The workspace. Raises UsageError where there is none of Bazel's."""
        root = self.home.workspace
        if root is None or not any((root / name).exists() for name in MARKERS):
            raise UsageError(
                f"{root or self.directory} is no workspace of Bazel's",
                "name one: --workspace DIRECTORY",
                code="inputs.workspace",
            )
        return root

    @property
    def contract_file(self) -> Path:
        """The contract: the file that was named, or the workspace's."""
        if self.contract is not None:
            return self.directory / self.contract
        home = self.home
        return (home.workspace or self.directory) / FILE_NAME

    def site(self) -> Site:
        """The site around the workspace. Raises UsageError."""
        return load_site({}, detached(self.environ), self.home.workspace)

    def shelf(self) -> Shelf:
        """Where inputs are looked for: options, or else the contract's variables, or else the site.

        Raises UsageError and StorageError.
        """
        if self.distdirs or self.repository_cache is not None:
            distdirs = tuple(self.directory / each for each in self.distdirs)
            cache = None if self.repository_cache is None else self.directory / self.repository_cache
            return shelf_of(distdirs, cache)
        said = with_site_inputs(self.environ, self.site())
        named = said.get("BAZEL_REPOSITORY_CACHE")
        layers = (self.directory / each for each in said.get("BAZEL_DISTDIR", "").split(":") if each)
        return Shelf(tuple(layers), None if not named else self.directory / named)
