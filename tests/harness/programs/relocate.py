"""Makes a tree of unpacked packages run where it lies, on a machine with another C library.

Symbolic links to absolute paths lead into the tree. A program is given the tree's own loader and the path
of the tree's own libraries (with the tree's own `patchelf`), so that it is what runs, under its own name:
a Nix asks the kernel for its own path, and starts itself by it. A Python does not survive that: a script
in its place has the loader load it, under the name by which it was called, beside which it looks for its
environment. Children inherit neither: a shell that a Bazel starts is the machine's.
"""

from __future__ import annotations

import os
import re
import subprocess
import zipfile
from pathlib import Path

#: The package with which a program is given another loader; it is fetched with each.
TOOL = "patchelf"


def relink(root: Path) -> None:
    """Have absolute symbolic links lead into `root`, where that has what they name."""
    for directory, names, files in os.walk(root):
        for name in (*names, *files):
            path = Path(directory) / name
            if path.is_symlink() and path.readlink().is_absolute():
                inside = root / path.readlink().relative_to("/")
                if inside.exists() or inside.is_symlink():
                    path.unlink()
                    path.symlink_to(inside)


def adopt(root: Path, *programs: Path) -> None:
    """Have each ELF of `programs` run with the loader and the libraries of `root`."""
    loader = next(root.glob("usr/lib/*-linux-gnu/ld-linux*.so.*"))
    libraries = ":".join(str(path) for path in sorted(root.glob("usr/lib/*-linux-gnu")))
    tool = [str(loader), "--library-path", libraries, str(root / "usr/bin" / TOOL)]
    for program in programs:
        if program.is_symlink() or not _is_elf(program):
            continue
        had = _run(*tool, "--print-rpath", str(program))
        path = f"{had}:{libraries}" if had else libraries
        # The older of the two kinds of path: it holds for the libraries of libraries too.
        _run(*tool, "--set-interpreter", str(loader), "--force-rpath", "--set-rpath", path, str(program))


def wrap(root: Path, program: Path) -> None:
    """Put a script in the place of the ELF `program`."""
    loader = next(root.glob("usr/lib/*-linux-gnu/ld-linux*.so.*"))
    libraries = ":".join(str(path) for path in sorted(root.glob("usr/lib/*-linux-gnu")))
    kept = program.with_name(f".{program.name}.elf")
    program.rename(kept)
    program.write_text(f'#!/bin/sh\nexec {loader} --library-path {libraries} --argv0 "$0" {kept} "$@"\n')
    program.chmod(0o755)


def relocate_bazel(root: Path) -> Path:
    """Have Debian's Bazel run in `root`; the launcher to call.

    As packaged, its files name each other below /usr and /etc: the list of its libraries, jars that name
    further ones in their manifests, and the system's rc. The client has the path of that rc compiled in:
    the launcher hands the tree's own over as a further rc, unless it was told to read none.
    """
    base = root / "usr/share/bazel"
    listed = base / "bazel_classpath_debian_depends.txt"
    jars = with_manifests(root, listed.read_text().split())
    listed.write_text("".join(f"{root}{jar}\n" for jar in jars))
    adopt(root, root / "usr/bin/bazel", *root.glob("usr/libexec/*/bazel/*"))
    adopt(root, *root.glob("usr/lib/jvm/*/bin/java"), *root.glob("usr/lib/jvm/*/lib/jspawnhelper"))
    rc = root / "etc/bazel/bazelrc"
    rc.write_text(re.sub(r"=/usr/", f"={root}/usr/", rc.read_text()))
    java = next(path for path in sorted(root.glob("usr/lib/jvm/java-*")) if not path.is_symlink())
    launcher = root / "bin/bazel"
    launcher.parent.mkdir()
    launcher.write_text(
        "#!/bin/sh\n"
        f"rc=--bazelrc={rc}\n"
        "for word; do\n"
        "  case $word in\n"
        "    --nosystem_rc | --ignore_all_rc_files) rc= ;;\n"
        "    -*) ;;\n"
        "    *) break ;;\n"
        "  esac\n"
        "done\n"
        f'exec {root}/usr/bin/bazel --nosystem_rc --server_javabase={java} $rc "$@"\n'
    )
    launcher.chmod(0o755)
    return launcher


def relocate_nix(root: Path, program: Path) -> Path:
    """Have Nix run in `root`; the launcher to call. Beside it are its commands alone, for a PATH."""
    adopt(root, program)
    place = root / "bin"
    place.mkdir()
    for command in program.parent.glob("nix*"):
        (place / command.name).symlink_to(command)
    return place / program.name


def _run(*command: str) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def with_manifests(root: Path, jars: list[str]) -> list[str]:
    """`jars` and those that their manifests name, each once, in the order in which Java looks at them."""
    found: list[str] = []
    pending = list(reversed(jars))
    while pending:
        jar = pending.pop()
        if jar not in found and (root / jar.lstrip("/")).exists():
            found.append(jar)
            pending.extend(reversed(_manifest_classpath(root, jar)))
    return found


def _manifest_classpath(root: Path, jar: str) -> list[str]:
    with zipfile.ZipFile(root / jar.lstrip("/")) as archive:
        try:
            text = archive.read("META-INF/MANIFEST.MF").decode("utf-8", "replace")
        except KeyError:
            return []
    unfolded = re.sub(r"\r?\n ", "", text)
    named = re.search(r"^Class-Path: (.*)$", unfolded, re.MULTILINE)
    return [os.path.normpath(Path(jar).parent / name) for name in (named[1].split() if named else [])]
