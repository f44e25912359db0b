"""A Bazel registry on loopback, or as files: modules of the tests, and empty ones for all that is asked."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path

from tests.harness.inputs.contracts import checksum
from tests.harness.inputs.upstream import File, Upstream

#: Where the registry is below its upstream.
PREFIX = "/registry"

_MODULE = re.compile(PREFIX + r"/modules/(?P<name>[^/]+)/(?P<version>[^/]+)/(MODULE\.bazel|source\.json)")

#: What Bazel's own modules take from modules of these names, whatever is in it.
_EXPECTED = {
    "buildozer": {
        "buildozer_binary.bzl": "def _none(ctx):\n    pass\n\n"
        "buildozer_binary = module_extension(implementation = _none)\n"
    }
}


def archive_of(files: Mapping[str, str]) -> bytes:
    """A tar.gz with these files."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return made.getvalue()


class Registry:
    """The registry below `PREFIX` of an upstream."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.url = upstream.base + PREFIX
        upstream.put(f"{PREFIX}/bazel_registry.json", b"{}")
        upstream.fallback = self._stub

    def module(
        self,
        name: str,
        version: str,
        files: Mapping[str, str],
        patches: Mapping[str, str] | None = None,
        overlay: Mapping[str, str] | None = None,
    ) -> None:
        """A module of these files, whose archive has the name that forges give to tags."""
        text = f'module(name = "{name}", version = "{version}")\n'
        archive = archive_of({"MODULE.bazel": text, "BUILD": "", **files})
        url = self.upstream.put(f"{PREFIX}/{name}/archive/refs/tags/v{version}.tar.gz", archive)
        source: dict[str, object] = {"url": url, "integrity": checksum(archive).sri}
        base = f"{PREFIX}/modules/{name}/{version}"
        for key, directory, said in (("patches", "patches", patches), ("overlay", "overlay", overlay)):
            if said:
                source[key] = {each: checksum(content.encode()).sri for each, content in said.items()}
                source["patch_strip"] = 1
            for each, content in (said or {}).items():
                self.upstream.put(f"{base}/{directory}/{each}", content.encode())
        self.upstream.put(f"{base}/MODULE.bazel", text.encode())
        self.upstream.put(f"{base}/source.json", json.dumps(source).encode())

    def write(self, directory: Path) -> str:
        """The same registry as files in `directory`; its URL."""
        for path, file in self.upstream.files.items():
            if path.startswith(f"{PREFIX}/") and "/archive/" not in path:
                target = directory / path.removeprefix(f"{PREFIX}/")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.content)
        return directory.as_uri()

    def _stub(self, path: str) -> File | None:
        """A module without content: Bazel's own modules need some, other ones for each version of it."""
        found = _MODULE.fullmatch(path)
        if found is None:
            return None
        self.module(found["name"], found["version"], _EXPECTED.get(found["name"], {}))
        return self.upstream.files[path]
