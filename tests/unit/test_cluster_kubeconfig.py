"""Which kubeconfigs are read, how they merge, and what is said of those that cannot be used."""

import json
import os
from pathlib import Path

import pytest

from gfattach.cluster.connection import ClusterRef
from gfattach.cluster.kubeconfig import in_cluster
from gfattach.cluster.kubeconfig.files import FILE_BYTES
from gfattach.cluster.kubeconfig.resolve import find_files, read_kubeconfig, resolve, select
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError
from tests.harness.cluster.kubeconfig_files import kubeconfig, resolved


def refusal(action):
    """The error of `action`."""
    with pytest.raises(ClusterError) as caught:
        action()
    return caught.value


@pytest.fixture(autouse=True)
def _in_no_pod(monkeypatch, tmp_path):
    monkeypatch.setattr(in_cluster, "SERVICE_ACCOUNT", tmp_path / "no service account")


class TestFindingFiles:
    def test_kubeconfig_lists_files_of_which_those_that_exist_are_read_once_each_in_order(self, tmp_path):
        second, first = kubeconfig(tmp_path / "b"), kubeconfig(tmp_path / "a")
        listed = f"{second}:{tmp_path}/gone::{first}:{second}"
        assert find_files(ClusterRef(), {"KUBECONFIG": listed}) == (second, first)

    def test_without_kubeconfig_the_one_in_the_home_is_read(self, tmp_path):
        file = kubeconfig(tmp_path / ".kube" / "config")
        assert find_files(ClusterRef(), {"HOME": str(tmp_path)}) == (file,)

    def test_files_named_by_hand_are_read_whatever_the_environment_says(self, tmp_path):
        assert find_files(ClusterRef((tmp_path / "x",)), {"KUBECONFIG": "/y"}) == (tmp_path / "x",)

    def test_a_list_of_missing_files_names_them(self, tmp_path):
        error = refusal(lambda: find_files(ClusterRef(), {"KUBECONFIG": f"{tmp_path}/a"}))
        assert error.code == "cluster.kubeconfig.missing"
        assert error.fact == f"KUBECONFIG lists {tmp_path}/a, which is missing"

    def test_one_that_cannot_be_looked_at_is_not_passed_over(self):
        error = refusal(lambda: resolved(KUBECONFIG=f"/{'x' * 300}"))
        assert error.code == "cluster.kubeconfig.unreadable"

    def test_nothing_at_all_names_where_it_was_looked_for(self, tmp_path):
        error = refusal(lambda: find_files(ClusterRef(), {"HOME": str(tmp_path)}))
        assert error.code == "cluster.kubeconfig.missing"
        assert f"{tmp_path}/.kube/config does not exist" in error.fact

    def test_a_file_named_by_hand_has_to_exist(self, tmp_path):
        error = refusal(lambda: resolved(tmp_path / "gone"))
        assert error.code == "cluster.kubeconfig.missing"


ENVIRON = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443", "HOME": "/nonexistent"}


class TestInAPod:
    @pytest.fixture
    def account(self, monkeypatch, tmp_path):
        directory = tmp_path / "account"
        directory.mkdir()
        (directory / "token").write_text("pod-token\n")
        (directory / "namespace").write_text("builds")
        monkeypatch.setattr(in_cluster, "SERVICE_ACCOUNT", directory)
        return directory

    def test_the_service_account_is_used_where_there_is_no_kubeconfig(self, account):
        found = resolve(ClusterRef(), Deadline.after(5), ENVIRON)
        assert (found.server, found.namespace) == ("https://[fd00::1]:443", "builds")
        assert found.authorization == "Bearer pod-token"

    def test_its_token_is_read_anew_because_it_is_replaced(self, account):
        first = resolve(ClusterRef(), Deadline.after(5), ENVIRON)
        (account / "token").write_text("next-token")
        assert first.expires is not None
        assert resolve(ClusterRef(), Deadline.after(5), ENVIRON).authorization == "Bearer next-token"

    def test_an_empty_kubeconfig_gives_way_to_it(self, account, tmp_path):
        (tmp_path / "empty").touch()
        assert find_files(ClusterRef(), {**ENVIRON, "KUBECONFIG": f"{tmp_path}/empty"}) == ()

    @pytest.mark.parametrize(
        "content",
        [
            "# to be filled\n",
            "---\n",
            "null\n",
            "{}",
            "clusters: []\n",
            "apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\nusers: []\n",
            'apiVersion: v1\nkind: Config\npreferences: {}\ncurrent-context: ""\n',
            "users: [{name: u, user: {token: t}}]\n",
            "clusters: [{name: c, cluster: {server: 'https://c'}}]\n"
            "contexts: [{name: c, context: {cluster: c}}]\n",
        ],
    )
    @pytest.mark.parametrize("named", [True, False], ids=["by hand", "by KUBECONFIG"])
    def test_a_kubeconfig_in_which_nothing_is_current_gives_way_to_it(
        self, account, tmp_path, content, named
    ):
        file = tmp_path / "config"
        file.write_text(content)
        ref = ClusterRef((file,) if named else None)
        environ = ENVIRON if named else {**ENVIRON, "KUBECONFIG": str(file)}
        assert resolve(ref, Deadline.after(5), environ).authorization == "Bearer pod-token"
        # As the agent asks, which knows the context by its name.
        assert find_files(ClusterRef(ref.kubeconfigs, in_cluster.NAME), environ) == ()

    @pytest.mark.parametrize(
        ("content", "context"),
        [("a: [", None), ("kind: Pod", None), ("current-context: gone", None), ("clusters: []", "other")],
        ids=["no YAML", "another kind", "a context that is gone", "a context that is asked for"],
    )
    def test_what_is_wrong_with_a_kubeconfig_is_not_hidden_by_it(self, account, tmp_path, content, context):
        (tmp_path / "config").write_text(content)
        environ = {**ENVIRON, "KUBECONFIG": f"{tmp_path}/config"}
        refusal(lambda: resolve(ClusterRef(None, context), Deadline.after(5), environ))

    def test_a_kubeconfig_comes_first(self, account, tmp_path):
        file = kubeconfig(tmp_path / "config")
        assert find_files(ClusterRef(), {**ENVIRON, "KUBECONFIG": str(file)}) == (file,)


class TestMerging:
    def test_the_first_file_decides_each_entry_as_a_whole_and_the_current_context(self, tmp_path):
        first = kubeconfig(tmp_path / "1", {"token": "first"}, **{"current-context": "here"})
        second = kubeconfig(
            tmp_path / "2",
            {"token": "second", "as": "jane"},
            {"server": "https://b"},
            **{"current-context": "b"},
        )
        found = resolved(first, second)
        assert (found.host, found.authorization, found.impersonate) == ("api.example", "Bearer first", ())

    def test_empty_files_are_passed_over(self, tmp_path):
        (tmp_path / "empty").write_text("# nothing\n")
        assert resolved(tmp_path / "empty", kubeconfig(tmp_path / "c")).context == "here"

    def test_only_empty_files_are_an_error_that_names_them(self, tmp_path):
        (tmp_path / "empty").write_text("")
        error = refusal(lambda: resolved(tmp_path / "empty"))
        assert error.code == "cluster.kubeconfig.empty"
        assert f"{tmp_path}/empty" in error.fact

    def test_paths_are_relative_to_the_file_that_names_them(self, tmp_path):
        below = kubeconfig(tmp_path / "below" / "c", {"tokenFile": "../token"})
        (tmp_path / "token").write_text("from-a-file")
        assert resolved(below).authorization == "Bearer from-a-file"


class TestWhatCannotBeRead:
    @pytest.mark.parametrize(
        ("text", "code", "says"),
        [
            ("a: b\nc: [\n", "yaml", "line 3"),
            ("a: 'b\n", "yaml", "not YAML"),
            ("- a\n", "mapping", "a list"),
            ("hello", "mapping", "text"),
            ("kind: Pod\napiVersion: v1\n", "kind", "Pod v1"),
            ("users: [{name: u}, {name: u}]", "twice", "'u' twice under users"),
            ("users: 5", "field", "users is a number, and has to be a list"),
            ("users: [{name: u, user: {token: 5}}]", "field", "users[0].user.token is a number"),
            ("users: [{name: u, user: {token: yes}}]", "field", "users[0].user.token is a truth value"),
            ("users: [5]", "field", "users[0] is a number"),
            ("users: [{name: u, user: {as-groups: [1]}}]", "field", "users[0].user.as-groups holds a number"),
            ("clusters: [{name: c, cluster: {insecure-skip-tls-verify: 1}}]", "field", "true or false"),
            ("clusters: [{name: c, cluster: {certificate-authority-data: '%'}}]", "field", "not base64"),
            ("users: [{name: u, user: {exec: []}}]", "field", "users[0].user.exec is a list"),
            ("a: " + "[" * 100, "yaml", "64 levels"),
        ],
    )
    def test_the_error_names_file_line_and_field(self, tmp_path, text, code, says):
        file = tmp_path / "config"
        file.write_text(text)
        error = refusal(lambda: read_kubeconfig((file,)))
        assert error.code == f"cluster.kubeconfig.{code}"
        assert str(file) in error.fact
        assert says in error.fact

    def test_brackets_beyond_any_depth_are_refused_whoever_counts_them_first(self, tmp_path):
        # PyYAML has a bound of its own since 6.0.4, and looks ahead: its words are not ours then.
        (tmp_path / "config").write_text("a: " + "[" * 100_000)
        assert refusal(lambda: read_kubeconfig((tmp_path / "config",))).code == "cluster.kubeconfig.yaml"

    def test_aliases_of_aliases_end_before_memory_does(self, tmp_path):
        lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
        lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
        (tmp_path / "config").write_text("\n".join(lines))
        assert refusal(lambda: read_kubeconfig((tmp_path / "config",))).code == "cluster.kubeconfig.yaml"

    def test_a_file_beyond_any_size_is_not_read_to_its_end(self, tmp_path):
        with (tmp_path / "config").open("wb") as file:
            file.truncate(FILE_BYTES + 1)
        assert refusal(lambda: read_kubeconfig((tmp_path / "config",))).code == "cluster.kubeconfig.large"

    def test_a_directory_is_no_file(self, tmp_path):
        error = refusal(lambda: read_kubeconfig((tmp_path,)))
        assert error.code == "cluster.kubeconfig.unreadable"
        assert "is a directory" in error.fact

    def test_a_pipe_that_nobody_writes_to_is_not_waited_for(self, tmp_path):
        os.mkfifo(tmp_path / "config")
        error = refusal(lambda: read_kubeconfig((tmp_path / "config",)))
        assert error.code == "cluster.kubeconfig.unreadable"
        assert "is a pipe" in error.fact

    def test_the_null_device_is_an_empty_file(self):
        assert refusal(lambda: read_kubeconfig((Path("/dev/null"),))).code == "cluster.kubeconfig.empty"

    @pytest.mark.parametrize("secret", ["*hunter2secret", "!hunter2secret x", "'hunter2secret"])
    def test_the_error_quotes_nothing_of_the_file(self, tmp_path, secret):
        (tmp_path / "config").write_text(f"users:\n- user:\n    password: {secret}\n  bad\n")
        error = refusal(lambda: read_kubeconfig((tmp_path / "config",)))
        assert "hunter2" not in "\n".join([error.fact, *error.hints])


class TestSelecting:
    def test_a_current_context_that_is_gone_is_named_with_those_that_are_there(self, tmp_path):
        file = kubeconfig(tmp_path / "c", **{"current-context": "gone"})
        error = refusal(lambda: resolved(file))
        assert error.code == "cluster.context.missing"
        assert error.fact == f"current-context 'gone' not in {file}"
        assert "contexts: here" in error.hints

    def test_a_context_that_was_asked_for_and_is_gone(self, tmp_path):
        error = refusal(lambda: resolved(kubeconfig(tmp_path / "c"), context="there"))
        assert error.fact.startswith("context 'there' not in")

    def test_no_current_context(self, tmp_path):
        error = refusal(lambda: resolved(kubeconfig(tmp_path / "c", **{"current-context": ""})))
        assert error.code == "cluster.context.none"
        assert "contexts: here" in error.hints

    @pytest.mark.parametrize("kind", ["cluster", "user"])
    def test_a_context_of_what_is_not_there(self, tmp_path, kind):
        error = refusal(lambda: resolved(kubeconfig(tmp_path / "c", context={kind: "gone"})))
        assert error.code == f"cluster.context.{kind}"
        assert f"names the {kind} 'gone'" in error.fact

    def test_the_namespace_is_the_callers_or_the_contexts_or_the_default(self, tmp_path):
        bare = kubeconfig(tmp_path / "a")
        named = kubeconfig(tmp_path / "b", context={"namespace": "caches"})
        assert resolved(bare).namespace == "default"
        assert resolved(named).namespace == "caches"
        assert resolved(named, namespace="mine").namespace == "mine"

    def test_no_secret_is_in_any_repr(self, tmp_path):
        user = {
            "token": "secret-one",
            "client-key-data": "c2VjcmV0LXR3bw==",
            "exec": {
                "command": "x",
                "args": ["secret-three"],
                "env": [{"name": "A", "value": "secret-four"}],
            },
        }
        file = kubeconfig(tmp_path / "c", user, {"proxy-url": "http://me:secret-five@p:1"})
        config = read_kubeconfig((file,))
        entries = select(config, ClusterRef())
        shown = f"{config!r} {entries!r} {resolved(file)!r}"
        assert "secret-" not in shown
        assert "secret" not in json.dumps(resolved(file).server)
        assert Path(file).name in shown
