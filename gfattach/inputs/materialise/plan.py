"""The plan of a fetch: which file goes where, layer by layer, without a change to anything.

Two inputs with one base name cannot stand in one directory: the second goes into a layer of its own
(`DIR/layer-1`), and Bazel is given one `--distdir` for each. What is there already stays where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from gfattach.bazel.external.distdir import LAYER
from gfattach.bazel.external.repository_cache import cached_file, canonical_mark
from gfattach.inputs.contract.coverage import digest_of
from gfattach.inputs.model.checksum import Checksum
from gfattach.inputs.model.input import Input


class Task(Struct, frozen=True):
    """One file to have at `place`. `marks` are empty files to have beside it.

    `occupied` says what stands in its place and is not it, "" for nothing.
    """

    input: Input
    checksum: Checksum
    place: Path
    marks: tuple[Path, ...] = ()
    occupied: str = ""


def plan_distdir(inputs: Sequence[Input], distdir: Path) -> tuple[Task, ...]:
    """The tasks for a distdir, in the order of the inputs. Raises StorageError."""
    wanted = [each for each in inputs if each.by_distdir]
    declared = {each.checksum for each in wanted if each.checksum is not None}
    tasks: dict[tuple[str, Checksum], Task] = {}
    taken: set[Path] = set()
    for item in wanted:
        assert item.checksum is not None
        key = (item.files[0], item.checksum)
        if key not in tasks:
            tasks[key] = _placed(item, item.checksum, distdir, taken, declared)
            taken.add(tasks[key].place)
    return tuple(tasks.values())


def _placed(
    item: Input, checksum: Checksum, distdir: Path, taken: set[Path], declared: set[Checksum]
) -> Task:
    free: Path | None = None
    foreign: Path | None = None
    for number in range(len(taken) + 2):
        place = (distdir if number == 0 else distdir / f"{LAYER}{number}") / item.files[0]
        if place.is_symlink():
            return Task(item, checksum, place, occupied="a link")
        if place.exists() and not place.is_file():
            return Task(item, checksum, place, occupied="no regular file")
        if place.exists():
            digest = digest_of(place, checksum)
            if digest == checksum.digest:
                return Task(item, checksum, place)
            if not any(digest_of(place, each) == each.digest for each in declared):
                foreign = foreign or place
            continue
        if place not in taken:
            free = free or place
            if not place.parent.exists():
                break
    if foreign is not None:
        # Not passed over into another layer: Bazel would take whichever has the right bytes, and the wrong
        # file would stay for whoever looks at names.
        return Task(item, checksum, foreign, occupied="other bytes")
    assert free is not None
    return Task(item, checksum, free)


def plan_repository_cache(inputs: Sequence[Input], cache: Path) -> tuple[Task, ...]:
    """The tasks for a repository cache: a file for each checksum, a mark for each list of URLs."""
    tasks: dict[Checksum, Task] = {}
    for item in inputs:
        checksum = item.checksum
        if checksum is None or not item.by_repository_cache:
            continue
        place = cached_file(cache, checksum.algorithm, checksum.hex)
        mark = place.with_name(canonical_mark(item.urls))
        known = tasks.get(checksum)
        if known is None:
            occupied = "a link" if place.is_symlink() else ""
            if not occupied and place.exists() and digest_of(place, checksum) != checksum.digest:
                occupied = "other bytes"
            tasks[checksum] = Task(item, checksum, place, (mark,), occupied)
        else:
            marks = tuple(dict.fromkeys((*known.marks, mark)))
            tasks[checksum] = Task(known.input, checksum, place, marks, known.occupied)
    return tuple(tasks.values())
