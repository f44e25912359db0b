"""`gfattach contract` warns of what the files of a workspace would do to an attached shell."""

import subprocess

import pytest

#: A file of the workspace, whether git tracks it, its text, and the code of the one warning that it gives.
FILES = {
    "an rc file that uploads": (".bazelrc", False, "build --remote_upload_local_results", "rc.uploads"),
    "a config that uploads": (".bazelrc", True, "build:ci --remote_upload_local_results=true", "rc.uploads"),
    "a tracked endpoint": (
        ".bazelrc",
        True,
        "build --remote_cache=grpc://cache:1 --noremote_upload_local_results",
        "rc.endpoint",
    ),
    "a credential": (".bazelrc", False, "build --remote_header=x-token=c4nary", "rc.credential"),
    "a credential in an import": ("user.bazelrc", True, "build --bes_header=a=c4nary", "rc.credential"),
    "a disk cache": (".bazelrc", False, "build --disk_cache=disk", "rc.disk-cache"),
    "an executor by default": (".bazelrc", False, "build --spawn_strategy=remote", "rc.executor"),
    "a placeholder": (".bazelrc", False, "build --remote_cache=${C}\nbuild --noremote_upload_local_results",
                      "rc.placeholder"),
    "an import of what is not there": (".bazelrc", False, "import %workspace%/gone.bazelrc", "rc.import"),
    "a line that outranks the fragment": ("user.bazelrc", False, "test --remote_proxy=x", "rc.outranks"),
    "a machine's own value in keys": (".bazelrc", False, "build --action_env=PATH", "rc.action-env"),
    "an environment that is not strict": (".bazelrc", False, "build --noincompatible_strict_action_env",
                                          "rc.action-env"),
    "a stale host": (".envrc", False, "# was fuzzy-dev", "stale-host"),
    "a tracked address of one place": (".envrc", True, "# at 10.1.2.3", "tracked.endpoint"),
    "an override": (".envrc", False, "export GF_BAZEL_REMOTE_UPLOAD=false", "envrc.overrides"),
    "a wrapper": ("tools/bazel", False, 'up="${GF_BAZEL_REMOTE_UPLOAD:-true}"', "wrapper.uploads"),
    "a script": ("ci/build.sh", True, 'up="${GF_BAZEL_REMOTE_UPLOAD:-true}"', "wrapper.uploads"),
    "a file of one machine": (".env.flywheel.local", True, "", "local-file.tracked"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_warned_of_by_the_command_with_its_place_and_without_its_value(machine, name):
    path, tracked, text, code = FILES[name]
    (machine.workspace / "user.bazelrc").write_text("")
    file = machine.workspace / path
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"{text}\n")
    if tracked:
        subprocess.run(["git", "add", "--force", path], cwd=machine.workspace, check=True)
    done = machine.run("contract")
    assert done.returncode == 0, "a hazard refuses nothing"
    assert f"[hazard.{code}]" in done.stdout and path in done.stdout
    assert "c4nary" not in done.stdout
    assert [h["code"] for h in machine.json("contract")["result"]["hazards"]].count(f"hazard.{code}") == 1


def test_an_attachment_itself_is_no_hazard_nor_is_an_override_that_it_has_the_last_word_on(machine):
    machine.json("up", "--trial", "--no-bazel", "--no-nix")
    with (machine.workspace / ".bazelrc").open("a") as file:
        file.write("try-import %workspace%/.gfattach/bazelrc\n")
    (machine.workspace / ".envrc").write_text('export GF_BAZEL_REMOTE_UPLOAD=true\neval "$(gfattach env)"\n')
    assert machine.json("contract")["result"]["hazards"] == []
