"""`inputs prove`: a build with nothing but the declared inputs, and a control without one of them.

What is proved is that the targets build on this platform from an empty output base and an empty repository
cache, with downloads disabled and no network, out of the distdirs alone: no fetch event, and the checksums in
the repository cache afterwards are those that the contract declares, no more and no fewer. The control takes
one input away: a build that succeeds without it would have proved nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from gfattach.bazel.external.lockfile import read_lock
from gfattach.core.engine import Run
from gfattach.core.errors import UsageError
from gfattach.core.files import make_private_directory, write_json
from gfattach.core.finding import Finding
from gfattach.inputs.check.check import seed_of
from gfattach.inputs.contract.coverage import Coverage, Covered, Shelf, cover, digest_of
from gfattach.inputs.contract.document import read_contract
from gfattach.inputs.inventory.mentions import module_name
from gfattach.inputs.inventory.observe import Observation, Supply, observe
from gfattach.inputs.inventory.workbench import Workbench, bench_of
from gfattach.inputs.model.checksum import Checksum
from gfattach.inputs.model.host import platform_name
from gfattach.inputs.model.input import Input, Kind
from gfattach.inputs.place import InputsOptions
from gfattach.inputs.prove.network import without_network
from gfattach.inputs.prove.verdict import Control, Hole, Proved, control_findings, findings

#: Options by which a build would take downloads from elsewhere. An override is a directory of this machine,
#: as the workspace is.
FOREIGN = ("distdir", "experimental_distdir", "vendor_dir", "repo_contents_cache")


def prove_inputs(
    options: InputsOptions,
    run: Run,
    *,
    without: str | None = None,
    evidence: Path | None = None,
    namespace: bool = True,
) -> Proved:
    """Prove. `without` names the input that the control takes away.

    Raises UsageError where no distdir is known, and GfattachError.
    """
    contract = read_contract(options.contract_file)
    shelf = options.shelf()
    if not shelf.distdirs:
        raise UsageError(
            "nothing says which distdirs to build from",
            "name them: gfattach inputs prove --distdir DIR",
            "fill one: gfattach inputs fetch --distdir DIR",
            code="inputs.prove.nowhere",
        )
    inputs = contract.on(platform_name())
    targets = options.targets or contract.targets
    declared = _declared(inputs, shelf)
    with bench_of(options) as bench, without_network(bench.environment, namespace=namespace) as isolation:
        bench = replace(bench, environment=isolation.environment, launcher=isolation.launcher)
        run.account("start", "find the workspace and its Bazel")
        covered = cover(inputs, shelf)
        has_lock = read_lock(bench.workspace) is not None
        supply = Supply(shelf.distdirs, False, seed_of(inputs, shelf, registry_only=True), locked=has_lock)
        proof: list[Proved] = []

        def build(progress: Callable[[str], None]) -> Mapping[str, Finding]:
            seen = observe(bench, targets, supply, build=True, progress=progress)
            made = _concluded(seen, targets, isolation.kind, declared, covered, shelf)
            proof.append(made)
            return dict(findings(made))

        run.step("proof", f"build {' '.join(targets)} without a network", build)
        if proof[0].good:
            taken = _taken(inputs, declared, without)

            def control(progress: Callable[[str], None]) -> Mapping[str, Finding]:
                proof.append(replace(proof[0], control=_control(bench, targets, supply, taken, progress)))
                return dict(control_findings(proof[1].control))

            run.step("control", "build once more, without one of the inputs", control)
    if evidence is not None:
        write_json(options.directory / evidence, proof[-1].as_json())
    return proof[-1]


def _declared(inputs: Sequence[Input], shelf: Shelf) -> dict[Checksum, Input]:
    """What has to be in the repository cache afterwards: registry files only where a cache gives them."""
    seeded = shelf.repository_cache is not None
    return {
        each.checksum: each
        for each in inputs
        if each.checksum is not None and (each.by_distdir or (each.kind is Kind.REGISTRY and seeded))
    }


def _concluded(
    seen: Observation,
    targets: Sequence[str],
    isolation: str,
    declared: Mapping[Checksum, Input],
    covered: Sequence[Covered],
    shelf: Shelf,
) -> Proved:
    found = {Checksum(algorithm, bytes.fromhex(digest)) for algorithm, digest in seen.cached}
    states = {each.input.identity: each for each in covered}
    holes: dict[str, str] = {}
    for checksum, item in declared.items():
        if checksum not in found:
            state = states[item.identity]
            if state.coverage is Coverage.COVERED:
                holes[item.name] = "declared, and the build did not use it"
            else:
                holes[item.name] = f"{state.coverage.value}: {state.why}"
    for download in seen.log.downloads:
        name = module_name(download.repository)
        asked = _parsed(download.checksum)
        if asked is None:
            holes.setdefault(name, "asked for without a checksum: nothing can cover it")
        elif asked not in found and asked not in declared:
            holes.setdefault(name, "asked for, and the contract does not have it")
    for each in covered:
        if (
            each.coverage is Coverage.UNCOVERABLE
            and each.input.kind is not Kind.REGISTRY
            and not seen.complete
        ):
            holes.setdefault(each.input.name, f"{each.coverage.value}: {each.why}")
    for checksum in found - {each.input.checksum for each in covered}:
        holes.setdefault(checksum.sri, "in the repository cache, and not declared")
    ours = {str(each) for each in shelf.distdirs}
    foreign = tuple(
        f"--{name}={value}" for name in FOREIGN for value in seen.fetches.values(name) if value not in ours
    )
    return Proved(
        tuple(targets),
        seen.platform,
        isolation,
        len(found & set(declared)),
        len(declared),
        seen.complete,
        tuple(seen.fetches.urls),
        foreign,
        tuple(Hole(name, what) for name, what in sorted(holes.items())),
        None,
        "" if seen.complete else seen.said,
    )


def _parsed(said: str) -> Checksum | None:
    try:
        return Checksum.parse(said) if said else None
    except UsageError:
        return None


def _taken(inputs: Sequence[Input], declared: Mapping[Checksum, Input], without: str | None) -> Input | None:
    able = [each for each in inputs if each.by_distdir and each.checksum in declared]
    if without is None:
        return able[0] if able else None
    found = next((each for each in able if each.name == without), None)
    if found is None:
        raise UsageError(
            f"{without} is no input of the contract that a distdir covers",
            f"there are: {', '.join(each.name for each in able)}",
            code="inputs.prove.without",
        )
    return found


def _control(
    bench: Workbench,
    targets: Sequence[str],
    supply: Supply,
    taken: Input | None,
    progress: Callable[[str], None],
) -> Control | None:
    """Build from the same files, but for one; None where there is none to take away."""
    if taken is None or taken.checksum is None:
        return None
    left: list[Path] = []
    for number, layer in enumerate(supply.distdirs):
        directory = make_private_directory(bench.work / f"control-{number}")
        left.append(directory)
        for file in layer.iterdir() if layer.is_dir() else ():
            if file.is_file() and digest_of(file, taken.checksum) != taken.checksum.digest:
                (directory / file.name).symlink_to(file.absolute())
    seen = observe(bench, targets, replace(supply, distdirs=tuple(left)), build=True, progress=progress)
    asked = {
        module_name(each.repository)
        for each in seen.log.downloads
        if _parsed(each.checksum) == taken.checksum
    }
    lacking = seen.size_of(taken.checksum) is None
    return Control(taken.name, not seen.complete, lacking and taken.repository in asked, seen.said)
