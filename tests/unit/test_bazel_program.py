"""Which Bazel is used, and what is made of what it says."""

import pytest

from gfattach.bazel.program.binary import Bazel, identify, locate
from gfattach.core.deadline import Deadline
from gfattach.core.errors import BazelError, ExitCode, ProgramMissingError


def script(path, body):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def soon():
    return Deadline.after(20)


@pytest.fixture
def bin_directory(tmp_path):
    return tmp_path / "bin"


@pytest.mark.parametrize(
    ("present", "chosen"),
    [(["bazel"], "bazel"), (["bazelisk"], "bazelisk"), (["bazel", "bazelisk"], "bazelisk"), ([], None)],
)
def test_bazelisk_is_taken_before_bazel_and_neither_is_no_error(bin_directory, present, chosen):
    for name in present:
        script(bin_directory / name, "true")
    found = locate(None, {"PATH": str(bin_directory)})
    assert found == (bin_directory / chosen if chosen else None)


def test_the_option_wins_over_the_variable_and_the_variable_over_the_path(bin_directory):
    for name in ("bazel", "mine", "other"):
        script(bin_directory / name, "true")
    environ = {"PATH": str(bin_directory), "BAZEL_BIN": "other"}
    assert locate(str(bin_directory / "mine"), environ) == bin_directory / "mine"
    assert locate(None, environ) == bin_directory / "other"


@pytest.mark.parametrize(("explicit", "environ"), [("nowhere/bazel", {}), (None, {"BAZEL_BIN": "bazel-9"})])
def test_a_bazel_asked_for_by_name_and_missing_ends_with_127(bin_directory, explicit, environ):
    script(bin_directory / "bazel", "true")
    with pytest.raises(ProgramMissingError) as caught:
        locate(explicit, {"PATH": str(bin_directory), **environ})
    assert caught.value.exit_code is ExitCode.MISSING
    assert (explicit or "bazel-9") in caught.value.fact
    assert any("apt-get install bazel-bootstrap" in hint for hint in caught.value.hints)


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ("bazel 8.1.1", "8.1.1"),
        ("bazel 9.0.0rc2", "9.0.0rc2"),
        ("bazel 7.4.0- (@non-git)", "7.4.0- (@non-git)"),
        ("bazel no_version", None),
        ("bazel development version", None),
        ("bazel ", None),
    ],
)
def test_a_version_label_is_read_and_its_absence_tolerated(tmp_path, says, version):
    bazel = identify(script(tmp_path / "bazel", f"echo '{says}'"), soon(), environ={"PATH": "/usr/bin:/bin"})
    assert bazel.version == version
    assert bazel.label == (version or "development version")
    assert bazel.startup == () and bazel.native_transport


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        ("echo 'GNU Make 4.3'", "bazel.rubbish", "GNU Make"),
        ("echo 'could not download Bazel' >&2; exit 1", "bazel.crashed", "could not download"),
        ("exit 37", "bazel.crashed", "it said nothing"),
        ("kill -9 $$", "bazel.crashed", "it said nothing"),
    ],
)
def test_what_does_not_answer_as_bazel_is_a_clear_error(tmp_path, body, code, told):
    with pytest.raises(BazelError) as caught:
        identify(script(tmp_path / "bazel", body), soon(), environ={"PATH": "/usr/bin:/bin"})
    assert caught.value.code == code
    assert told in " ".join(caught.value.hints)


#: What the launcher of Bazel's Debian packages prints, on stdout and coloured, 1 being its exit code.
LAUNCHER = (
    "\033[31mERROR: The project you're trying to build requires Bazel {version} (specified in {where}), "
    "but it wasn't found in /usr/bin.\033[0m\n\nYou can install the required Bazel version via apt:\n"
    "  sudo apt update && sudo apt install bazel-{version}\n\nIf this doesn't work, check Bazel's "
    "installation instructions for help:\n  https://docs.bazel.build/versions/master/install-ubuntu.html\n"
)


@pytest.mark.parametrize(
    ("version", "where"),
    [
        ("7.4.0", "/src/.bazelversion"),
        ("8.2.1rc1", "/a b/.bazelversion"),
        ("last_green", "$USE_BAZEL_VERSION"),
        ("fork/8.x", "/w/.bazelversion"),
    ],
)
def test_a_launcher_that_has_not_the_version_is_quoted_with_the_line_that_says_so(tmp_path, version, where):
    (tmp_path / "said").write_text(LAUNCHER.format(version=version, where=where))
    with pytest.raises(BazelError) as caught:
        identify(script(tmp_path / "bazel", f"cat {tmp_path}/said; exit 1"), soon(), environ={"PATH": "/bin"})
    assert caught.value.code == "bazel.version"
    assert f"has no Bazel {version}" in caught.value.fact
    assert f"requires Bazel {version} (specified in {where})" in caught.value.hints[0]
    assert "\033" not in " ".join(caught.value.hints)


def test_a_bazel_that_hangs_is_given_up_at_the_deadline(tmp_path):
    with pytest.raises(BazelError) as caught:
        identify(
            script(tmp_path / "bazel", "echo downloading >&2; sleep 300"),
            Deadline.after(2.0),
            environ={"PATH": "/usr/bin:/bin"},
        )
    assert caught.value.code == "bazel.hung"
    assert "downloading" in caught.value.hints[0]


def test_a_file_that_is_no_program_is_unusable(tmp_path):
    broken = tmp_path / "bazel"
    broken.write_bytes(b"\x00\x01 not a program")
    broken.chmod(0o755)
    with pytest.raises(BazelError) as caught:
        identify(broken, soon(), environ={"PATH": "/usr/bin:/bin"})
    assert caught.value.code == "bazel.unusable"


def test_the_version_that_a_workspace_asks_for_is_asked_for_outside_of_it_too(tmp_path):
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / ".bazelversion").write_text("7.4.0\n")
    manager = script(tmp_path / "bazelisk", 'echo "bazel $USE_BAZEL_VERSION"')
    bazel = identify(
        manager, soon(), workspace=workspace, environ={"PATH": "/usr/bin:/bin", "HOME": "/home/dev"}
    )
    assert bazel.version == "7.4.0"
    assert bazel.environment["USE_BAZEL_VERSION"] == "7.4.0"
    assert bazel.environment["BAZELISK_HOME"].startswith("/home/dev/")


def test_a_version_manager_finds_its_way_out_without_a_password(tmp_path):
    spy = script(tmp_path / "bazelisk", f"env > {tmp_path}/seen; echo bazel 8.1.1")
    environ = {
        "PATH": "/usr/bin:/bin",
        "HOME": "/home/dev",
        "https_proxy": "http://proxy:3128",
        "HTTP_PROXY": "http://user:hush@proxy:3128",
        "BAZELISK_BASE_URL": "https://mirror.example/bazel",
        "BAZELISK_GITHUB_TOKEN": "hush",
    }
    identify(spy, soon(), environ=environ)
    seen = (tmp_path / "seen").read_text()
    assert "https_proxy=http://proxy:3128" in seen and "https://mirror.example/bazel" in seen
    assert "hush" not in seen


def test_no_secret_of_the_environment_reaches_the_program(tmp_path):
    spy = script(tmp_path / "bazel", f"env > {tmp_path}/seen; echo bazel 8.1.1")
    identify(spy, soon(), environ={"PATH": "/usr/bin:/bin", "HOME": "/home/dev", "TOKEN": "hush"})
    assert "hush" not in (tmp_path / "seen").read_text()


#: A client that reads the rc files that it is told of, as real ones say it.
READS = """
case "$*" in
  --version) echo "bazel {label}" ;;
  *--client_debug*) for file in {files}; do
      echo "[INFO 05:49:04.815 src/main/cpp/rc_file.cc:56] Parsing the RcFile $file" >&2
    done
    exit 36 ;;
esac
"""


def reading(tmp_path, rc, label="7.7.1"):
    """A Bazel whose system rc holds `rc`, and imports another that holds nothing of interest."""
    (tmp_path / "system rc").write_text(rc)
    (tmp_path / "further").write_text("build --announce_rc\n")
    names = f"'{tmp_path}/system rc' {tmp_path}/further {tmp_path}/gone"
    return identify(
        script(tmp_path / "bazel", READS.format(label=label, files=names)),
        soon(),
        environ={"PATH": "/usr/bin:/bin"},
    )


@pytest.mark.parametrize("label", ["no_version", "7.7.1", "8.4.0- (@non-git)"])
@pytest.mark.parametrize(
    ("rc", "startup"),
    [
        (
            "startup --install_base=/x\nstartup --trust_install_base\n",
            ("--install_base=/x", "--trust_install_base"),
        ),
        (
            "startup --trust_install_base \\\n  --install_base /a\\ b",
            ("--trust_install_base", "--install_base=/a b"),
        ),
        ("startup --server_javabase=/nix/store/j --max_idle_secs=5", ("--server_javabase=/nix/store/j",)),
        ('startup --host_jvm_args="-Dx=a b"  # why\nbuild --install_base=/no', ("--host_jvm_args=-Dx=a b",)),
        ("build --jobs=2\n#startup --install_base=/x\n", ()),
    ],
)
def test_a_bazel_whose_parts_lie_outside_of_it_is_told_where_as_its_own_rc_does(tmp_path, rc, startup, label):
    assert reading(tmp_path, rc, label).startup == startup


def test_a_wrapper_that_does_not_hand_the_question_on_ends_nothing(tmp_path):
    found = identify(
        script(tmp_path / "bazel", 'test "$1" = --version && echo bazel 8.1.1'),
        soon(),
        environ={"PATH": "/bin"},
    )
    assert (found.version, found.startup, found.native_transport) == ("8.1.1", (), True)


def test_the_natives_are_looked_for_where_the_parts_lie(tmp_path):
    import zipfile

    rc = f"startup --install_base={tmp_path}\n"
    with zipfile.ZipFile(tmp_path / "A-server.jar", "w") as jar:
        jar.writestr("META-INF/maven/io.netty/netty-tcnative/pom.xml", "")
    assert not reading(tmp_path, rc).native_transport
    with zipfile.ZipFile(tmp_path / "A-server.jar", "a") as jar:
        jar.writestr("META-INF/native/libnetty_tcnative_linux_x86_64.so", "")
    assert reading(tmp_path, rc).native_transport


def test_the_identity_changes_with_the_program(tmp_path):
    path = script(tmp_path / "bazel", "echo bazel 8.1.1")
    bazel = Bazel(path, "8.1.1")
    before = bazel.identity()
    assert bazel.identity() == before
    assert Bazel(path, "8.2.0").identity() != before
    script(path, "echo bazel 8.1.1 # rebuilt")
    assert bazel.identity() != before
    path.unlink()
    with pytest.raises(BazelError):
        bazel.identity()


def test_a_bazel_survives_its_json():
    from pathlib import Path

    bazel = Bazel(Path("/usr/bin/bazel"), None, ("--trust_install_base",), False, {"BAZELISK_HOME": "/x"})
    assert Bazel.from_json(bazel.as_json()) == bazel
