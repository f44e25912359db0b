"""The release: built whole, installed by pipx into an empty environment, and run where no checkout is.

What is built is what git has of this checkout. Seen from the archives, and by running what was installed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest

from gfattach import __version__
from tests.harness.machine.developer import Machine, make_machine

ROOT = Path(__file__).parents[2]


def run(*words, **options):
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A directory with the wheel, the source distribution and the SBOM."""
    made = tmp_path_factory.mktemp("dist")
    run(sys.executable, ROOT / "release.py", made, cwd=made)
    return made


def only(directory, pattern):
    [found] = directory.glob(pattern)
    return found


@pytest.fixture(scope="module")
def wheel(release):
    return only(release, "*.whl")


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


class Installed(Machine):
    """A machine with nothing of a checkout on its path: the program is what pipx has installed."""

    @property
    def environment(self):
        own = super().environment
        del own["PYTHONPATH"]
        return own | {"PIPX_HOME": f"{self.root}/pipx", "PIPX_BIN_DIR": f"{self.root}/bin"}

    def run(self, *args, cwd=None, seconds=240):
        return subprocess.run(
            [self.root / "bin/gfattach", *args],
            cwd=cwd or self.workspace,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
        )


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    machine = Installed(tmp_path_factory.mktemp("machine"))
    made = make_machine(machine.root)
    assert made.workspace == machine.workspace
    pinned = f"--constraint {ROOT / 'constraints.txt'} --disable-pip-version-check"
    pipx = [sys.executable, "-m", "pipx", "install", "--python", sys.executable]
    run(*pipx, "--pip-args", pinned, wheel, env=machine.environment, cwd=machine.root)
    yield machine
    machine.run("down")
    assert [line for line in machine.processes() if "gfattach" in line] == []


def files_of(directory):
    """Every file of a directory that is in git's hands, but Python's sources; all where there is no git."""
    known = subprocess.run(["git", "ls-files", directory], cwd=ROOT, capture_output=True, text=True)
    found = known.stdout.split() if known.returncode == 0 and known.stdout else []
    every = (str(path.relative_to(ROOT)) for path in (ROOT / directory).rglob("*") if path.is_file())
    return [name for name in found or every if not name.endswith((".py", ".pyc"))]


def test_every_file_beside_the_sources_is_in_the_wheel(names):
    assert len(files_of("gfattach")) >= 3
    assert set(files_of("gfattach")) <= names
    templates = files_of("templates")
    assert len(templates) >= 2
    assert {name.replace("templates/", "gfattach/_templates/", 1) for name in templates} <= names


def test_the_wheel_holds_the_package_and_nothing_else(names):
    meta = f"gfattach-{__version__}.dist-info/"
    assert {name for name in names if not name.startswith(("gfattach/", meta))} == set()
    assert not {name for name in names if "__pycache__" in name}
    assert f"{meta}licenses/LICENSE" in names


def test_the_source_distribution_has_what_a_contributor_needs(release):
    with tarfile.open(only(release, "*.tar.gz")) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"dev.py", "release.py", "hatch_build.py", "constraints.txt", "tests.lock", "tests/conftest.py"}
    assert wanted | {"docs/architecture.md", "templates/bazelrc", "gfattach/built_from"} <= inside


def commit_of_the_checkout():
    """What the release has to say it was built from."""
    words = ["git", "-C", ROOT, "rev-parse", "--short=12", "HEAD"]
    done = subprocess.run([*map(str, words)], capture_output=True, text=True)
    top = subprocess.run(["git", "-C", ROOT, "rev-parse", "--show-toplevel"], capture_output=True, text=True)
    known = done.returncode == 0 and Path(top.stdout.strip()).resolve() == ROOT
    return f"commit {done.stdout.strip()}" if known else "an unknown commit"


def test_what_is_installed_says_what_it_was_built_from(installed):
    said = installed.run("--version").stdout
    found = re.fullmatch(r"gfattach (\S+) \((.+?)( with changes)?\)\n", said)
    assert found and found.group(1, 2) == (__version__, commit_of_the_checkout())


def test_a_checkout_says_that_it_is_one():
    said = run(sys.executable, "-m", "gfattach", "--version", cwd=ROOT)
    assert said == f"gfattach {__version__} (a checkout)\n"


def test_what_is_installed_attaches_and_detaches(installed):
    before = installed.files()
    document = installed.json("up", "--trial", "--no-bazel", "--no-nix")
    assert document["result"]["attached"] is True, document
    assert installed.json("status")["exit_code"] == 0
    assert installed.run("down").returncode == 0
    assert installed.files() == before


def test_what_is_installed_has_the_examples_of_its_codes(installed):
    """They are a file beside the sources."""
    examples = json.loads((ROOT / "gfattach/codes/examples.json").read_text())
    code = "machine.socket.long"
    assert examples[code]["seen"] in installed.run("help", code).stdout


def test_what_is_installed_writes_fragments_of_its_templates(installed):
    """Both templates, by whoever has installed the wheel; no Bazel and no Nix has a part in it."""
    script = (
        "from gfattach.fragments import template; print(len(template._read('bazelrc')), "
        "len(template._read('nix.conf')), template.__file__)"
    )
    python = installed.root / "pipx/venvs/gfattach/bin/python"
    bazelrc, nix_conf, file = run(python, "-P", "-c", script, env=installed.environment).split()
    assert int(bazelrc) > 100 and int(nix_conf) > 100
    assert file.startswith(str(installed.root))


def test_the_sbom_lists_what_is_installed_and_is_valid(release, installed):
    """Seen beside what pipx has installed: same names, same versions; and no path of the machine that
    made it.
    """
    text = only(release, "*.cdx.json").read_text()
    document = json.loads(text)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert document["metadata"]["component"]["name"] == "gfattach"
    python = installed.root / "pipx/venvs/gfattach/bin/python"
    script = "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()))"
    there = {normal(each) for each in run(python, "-P", "-c", script, env=installed.environment).split()}
    listed = {normal(f"{each['name']}=={each['version']}") for each in document["components"]}
    tools = ("pip==", "setuptools==", "wheel==")
    assert {each for each in there if not each.startswith(tools)} - {f"gfattach=={__version__}"} <= listed
    assert all(each in there for each in listed)
    assert not re.search(r"/tmp|/home|file:", text)
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def normal(requirement):
    return requirement.lower().replace("_", "-").replace(".", "-", requirement.partition("==")[0].count("."))


def pins(file):
    """Name and version of each line `name==version` of a file of pins or a lock, but what is for Windows."""
    found = re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)(?!.*win32)", (ROOT / file).read_text(), re.M)
    return {name.lower().replace("_", "-").replace(".", "-"): version for name, version in found}


def test_the_lock_of_the_tests_has_the_versions_of_the_constraints_with_a_checksum_each():
    lock, constraints = pins("tests.lock"), pins("constraints.txt")
    assert len(lock) > 50
    assert {name: version for name, version in lock.items() if constraints.get(name) != version} == {}
    blocks = re.split(r"\n(?=[A-Za-z0-9])", (ROOT / "tests.lock").read_text())
    assert all("--hash=sha256:" in block for block in blocks if "==" in block.partition("\n")[0])


def test_the_tests_run_with_the_versions_of_the_lock():
    lock = pins("tests.lock")
    here = {
        each.metadata["Name"].lower().replace("_", "-").replace(".", "-"): each.version
        for each in distributions()
    }
    assert {name: here[name] for name in lock if name in here and here[name] != lock[name]} == {}
    assert "pytest" in lock.keys() & here.keys()
