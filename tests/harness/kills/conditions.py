"""Conditions that an `up` may meet: each says what was lost, "" for nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable

from tests.harness.kills.scene import BUILD_SECONDS, Broken, Scene

_UP = ("up", "--trial", "--link", "--no-bazel", "--no-nix")

#: Runs `up` where the state directory is on a disk of its own, mounted with options; then, with room again,
#: `down`.
_ON_A_DISK = """
mount -t tmpfs -o "$1" disk "$2" || exit 99
shift
shift
"$@" up --trial --link --no-bazel --no-nix
code=$?
"$@" down
echo "up $code, down $?"
"""


def disk(options: str) -> Callable[[Scene], str]:
    """The state directory is on a disk that is mounted with `options`."""

    def condition(scene: Scene) -> str:
        unshare = ["unshare", "--user", "--map-root-user", "--mount"]
        if shutil.which("unshare") is None or subprocess.run([*unshare, "true"]).returncode:
            return "needs user namespaces"
        before = scene.snapshot()
        state = scene.machine.root / "home/.local/state"
        state.mkdir(parents=True, exist_ok=True)
        command = [*unshare, "sh", "-c", _ON_A_DISK, "sh", options, str(state)]
        done = subprocess.run(
            [*command, sys.executable, "-m", "gfattach"],
            cwd=scene.machine.workspace,
            env=scene.machine.environment,
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
        )
        if "Traceback" in done.stderr or done.returncode == 99:
            return done.stderr
        if not done.stdout.splitlines()[-1].startswith(("up 2,", "up 1,", "up 3,", "up 4,")):
            return f"it did not say so: {done.stdout}{done.stderr}"
        return held(scene, before)

    return condition


def race(scene: Scene) -> str:
    """Two `up` at once, and a third beside the `down` that follows."""
    before = scene.snapshot()
    both = [scene.start(_UP) for _ in range(2)]
    codes = [child.wait(BUILD_SECONDS) for child in both]
    late = scene.start(_UP)
    down = scene.start(("down",))
    late.wait(BUILD_SECONDS)
    down.wait(BUILD_SECONDS)
    if 0 not in codes:
        return f"neither was attached: {codes}"
    return held(scene, before)


def moved(scene: Scene) -> str:
    """The workspace is moved while it is attached, and moved back; `down` is asked in both places."""
    before = scene.snapshot()
    scene.machine.json(*_UP)
    here = scene.machine.workspace
    there = here.with_name("moved")
    here.rename(there)
    try:
        done = scene.machine.run("down", cwd=there)
        if "Traceback" in done.stderr:
            return done.stderr
    finally:
        there.rename(here)
    return held(scene, before)


def held(scene: Scene, before: dict[str, bytes]) -> str:
    """What of plain builds and a `down` did not hold."""
    try:
        scene.plain_builds()
        scene.down(before)
    except (Broken, AssertionError) as error:
        return str(error)
    return ""


CONDITIONS: dict[str, Callable[[Scene], str]] = {
    "disk full": disk("size=16k"),
    "disk read-only": disk("ro,size=4m"),
    "up racing up": race,
    "workspace moved": moved,
}
