"""Exec plugins, run as real programs: what they are handed, what they hand out, and how they fail."""

import json
import os
import stat
import time
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from gfattach.cluster.kubeconfig import exec_cache as exec_credentials
from gfattach.cluster.kubeconfig import exec_plugin
from gfattach.core.errors import ClusterError
from tests.harness.cluster.kubeconfig_files import (
    V1,
    certificate,
    exec_credential,
    exec_user,
    kubeconfig,
    plugin,
    resolved,
)
from tests.harness.machine.budget import budget

BETA = "client.authentication.k8s.io/v1beta1"


@pytest.fixture(autouse=True)
def _nothing_held(monkeypatch):
    """Every test is a process of its own, as far as plugins go."""
    monkeypatch.setattr(exec_credentials, "_held", {})


@pytest.fixture
def ask(tmp_path):
    """The connection for a user with this plugin; what it holds is kept below the test's directory."""

    def resolve(script, seconds=10.0, cluster=None, name="plugin", environ=None, **entry):
        command = plugin(tmp_path / name, script)
        file = kubeconfig(tmp_path / "config", exec_user(command, **entry), cluster)
        (tmp_path / "run").mkdir(mode=0o700, exist_ok=True)
        return resolved(file, seconds=seconds, **{"XDG_RUNTIME_DIR": f"{tmp_path}/run", **(environ or {})})

    return resolve


def refusal(action, *args, **options):
    with pytest.raises(ClusterError) as caught:
        action(*args, **options)
    return caught.value


def counting(tmp_path, **status):
    """A plugin that counts its runs, and how to read the count."""
    runs = tmp_path / "runs"
    return f"echo >> {runs}\n{exec_credential(**status)}", lambda: len(runs.read_text().splitlines())


def in_seconds(seconds):
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


class TestWhatItIsHanded:
    def test_the_request_says_that_nobody_can_be_asked_and_names_no_cluster(self, ask, tmp_path):
        ask(f'echo "$KUBERNETES_EXEC_INFO" > {tmp_path}/info\n{exec_credential(token="t")}')
        assert json.loads((tmp_path / "info").read_text()) == {
            "apiVersion": V1,
            "kind": "ExecCredential",
            "spec": {"interactive": False},
        }

    def test_the_cluster_with_its_authority_and_its_own_settings_where_it_is_wanted(self, ask, tmp_path):
        pem, _ = certificate()
        (tmp_path / "ca.crt").write_bytes(pem)
        cluster = {
            "certificate-authority": "ca.crt",
            "tls-server-name": "other",
            "extensions": [{"name": exec_plugin.GROUP + "/exec", "extension": {"audience": 7}}],
        }
        script = f'echo "$KUBERNETES_EXEC_INFO" > {tmp_path}/info\n{exec_credential(token="t")}'
        ask(script, cluster=cluster, provideClusterInfo=True)
        described = json.loads((tmp_path / "info").read_text())["spec"]["cluster"]
        assert described.pop("certificate-authority-data")
        assert described == {
            "server": "https://api.example:6443",
            "tls-server-name": "other",
            "config": {"audience": 7},
        }

    def test_arguments_and_variables_beside_the_callers_environment(self, ask):
        script = f'[ "$1 $2 $A $B" = "x y entry caller" ] || exit 9\n{exec_credential(token="t")}'
        env = [{"name": "A", "value": "entry"}]
        found = ask(script, args=["x", "y"], env=env, environ={"A": "caller", "B": "caller"})
        assert found.authorization == "Bearer t"

    def test_a_command_without_a_slash_is_looked_for_on_path(self, tmp_path):
        (tmp_path / "bin").mkdir()
        plugin(tmp_path / "bin" / "login", exec_credential(token="t"))
        file = kubeconfig(tmp_path / "c", exec_user("login"))
        found = resolved(file, PATH=f"{tmp_path}/bin:/usr/bin:/bin", XDG_RUNTIME_DIR=str(tmp_path))
        assert found.authorization == "Bearer t"

    def test_a_command_with_a_slash_is_relative_to_the_kubeconfig(self, tmp_path):
        plugin(tmp_path / "login", exec_credential(token="t"))
        file = kubeconfig(tmp_path / "below" / "c", exec_user("../login"))
        assert resolved(file, XDG_RUNTIME_DIR=str(tmp_path)).authorization == "Bearer t"


class TestWhatItHandsOut:
    @pytest.mark.parametrize("version", [V1, BETA])
    def test_a_token_in_either_version(self, ask, version):
        assert ask(exec_credential(version, token="t"), apiVersion=version).authorization == "Bearer t"

    def test_a_certificate_is_shown_and_ends_the_credential_when_it_ends(self, ask):
        pem, key = certificate(timedelta(hours=2))
        found = ask(exec_credential(clientCertificateData=pem.decode(), clientKeyData=key.decode()))
        assert found.authorization is None
        assert timedelta(hours=1) < found.expires - datetime.now(UTC) <= timedelta(hours=2)

    def test_a_time_of_expiry(self, ask):
        at = in_seconds(3600)
        assert ask(exec_credential(token="t", expirationTimestamp=at)).expires == datetime.fromisoformat(at)


class TestHowItFails:
    def test_missing_from_path_with_its_install_hint(self, tmp_path):
        entry = exec_user("no-such-plugin", installHint="get it:\n\x1b[31m  apt install it")
        error = refusal(resolved, kubeconfig(tmp_path / "c", entry))
        assert error.code == "cluster.credential.plugin-missing"
        assert error.fact == "the credential plugin 'no-such-plugin' is not on PATH"
        assert error.hints == ("get it:", "apt install it")

    def test_a_program_in_the_current_directory_is_not_taken_for_one_on_path(self, tmp_path, monkeypatch):
        plugin(tmp_path / "login", exec_credential(token="t"))
        monkeypatch.chdir(tmp_path)
        error = refusal(resolved, kubeconfig(tmp_path / "c", exec_user("login")), PATH=":.:/usr/bin")
        assert error.code == "cluster.credential.plugin-missing"

    def test_not_executable(self, tmp_path):
        (tmp_path / "p").write_text("")
        error = refusal(resolved, kubeconfig(tmp_path / "c", exec_user("./p")))
        assert error.code == "cluster.credential.plugin-missing"

    def test_no_program_at_all(self, ask, tmp_path):
        (tmp_path / "p").write_bytes(b"\x7fELF nothing")
        (tmp_path / "p").chmod(0o700)
        error = refusal(resolved, kubeconfig(tmp_path / "c", exec_user("./p")))
        assert error.code == "cluster.credential.plugin-missing"

    def test_an_exit_code_with_what_it_said(self, ask):
        error = refusal(ask, "echo please log in >&2; echo password=hunter2hunter2 >&2; exit 3")
        assert error.code == "cluster.credential.plugin-failed"
        assert error.fact.endswith("exited with 3: password=***")
        assert error.hints[0] == "it said before: please log in"
        assert "hunter2" not in str(error.hints)
        assert error.hints[-1].endswith("kubectl auth whoami")

    @pytest.mark.parametrize(
        ("said", "shown"),
        [
            (r"\033[31mnot logged in:\033[0m run x login", "not logged in: run x login"),
            (r"\033]8;;https://x.example\033\\log in\033]8;;\033\\", "log in"),
            (r"\033[1;38;5;9mError\033(B\033[m no session", "Error no session"),
            (r"\033]0;title\007expired", "expired"),
            (r"10%%\r100%%\tof\bit", "100% of it"),
        ],
    )
    def test_its_words_are_in_the_sentence_without_colours(self, ask, said, shown):
        error = refusal(ask, f"printf '{said}\\n' >&2; exit 254")
        assert error.fact.endswith(f"exited with 254: {shown}")

    @pytest.mark.parametrize("told", ["0.3", "1e-1", "0.30"])
    def test_silence_ends_with_the_seconds_that_were_told(self, ask, told):
        error = refusal(ask, "exec sleep 600", seconds=60, environ={"GFATTACH_PLUGIN_SECONDS": told})
        assert error.code == "cluster.credential.plugin-silent"

    @pytest.mark.parametrize("told", ["", "soon", "-1", "nan"])
    def test_no_number_of_seconds_tells_nothing(self, ask, monkeypatch, told):
        monkeypatch.setattr(exec_plugin, "PLUGIN_SECONDS", 0.3)
        error = refusal(ask, "exec sleep 600", seconds=60, environ={"GFATTACH_PLUGIN_SECONDS": told})
        assert error.code == "cluster.credential.plugin-silent"

    def test_silence_ends_with_the_callers_deadline_and_so_does_the_program(self, ask, tmp_path):
        before = time.monotonic()
        error = refusal(ask, f"echo $$ > {tmp_path}/pid; echo waiting >&2; exec sleep 600", seconds=2.0)
        assert time.monotonic() - before < budget(5)
        assert error.code == "cluster.credential.plugin-silent"
        assert error.fact.endswith(" s: waiting")
        assert error.hints[-2].endswith("kubectl auth whoami")
        assert error.hints[-1] == "give it longer: GFATTACH_PLUGIN_SECONDS=SECONDS"
        pid = int((tmp_path / "pid").read_text())
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    def test_silence_ends_with_the_plugins_own_limit(self, ask, monkeypatch):
        monkeypatch.setattr(exec_plugin, "PLUGIN_SECONDS", 0.3)
        assert refusal(ask, "exec sleep 600", seconds=60).code == "cluster.credential.plugin-silent"

    @pytest.mark.parametrize(
        ("script", "says"),
        [
            ("echo hello", "not JSON"),
            ("true", "not JSON"),
            ("echo '[1]'", "no ExecCredential"),
            ('echo \'{"kind": "Token"}\'', "no ExecCredential"),
            (exec_credential(BETA, token="t"), "another apiVersion"),
            (exec_credential(), "neither a token nor a certificate"),
            (exec_credential(token=5), "no text"),
            (exec_credential(clientCertificateData="x"), "without its key"),
            (exec_credential(token="t", expirationTimestamp="tomorrow"), "RFC 3339"),
            (exec_credential(token="t", expirationTimestamp="0001-01-01T00:00:00+23:59"), "RFC 3339"),
            (exec_credential(clientCertificateData="\ud800", clientKeyData="x"), "not in PEM form"),
            (exec_credential(token="t", expirationTimestamp="2030-01-01T00:00:00"), "RFC 3339"),
            (f'echo \'{{"apiVersion": "{V1}", "kind": "ExecCredential"}}\'', "without a status"),
            ("head -c 6000000 /dev/zero | tr '\\0' x", "more than 1024 KiB"),
            ("yes '[' | head -c 900000", "not JSON"),
        ],
    )
    def test_an_answer_that_is_none(self, ask, script, says):
        error = refusal(ask, script)
        assert error.code == "cluster.credential.plugin-answer"
        assert says in error.fact

    def test_a_token_that_would_end_the_header(self, ask):
        assert refusal(ask, exec_credential(token="a\r\nX: y")).code == "cluster.credential.token"

    def test_a_certificate_that_has_expired_names_its_date(self, ask):
        pem, key = certificate(timedelta(days=-1))
        error = refusal(ask, exec_credential(clientCertificateData=pem.decode(), clientKeyData=key.decode()))
        assert error.code == "cluster.credential.expired"
        assert f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}" in error.fact

    @pytest.mark.parametrize("version", ["client.authentication.k8s.io/v1alpha1", "v1", ""])
    def test_a_version_that_is_not_spoken_is_named_and_the_plugin_not_run(self, ask, tmp_path, version):
        error = refusal(ask, f"touch {tmp_path}/ran", apiVersion=version)
        assert error.code == "cluster.credential.plugin-version"
        assert (repr(version) if version else "no apiVersion") in error.fact
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize(
        ("entry", "code"),
        [
            ({"interactiveMode": "Always"}, "plugin-interactive"),
            ({"interactiveMode": ""}, "plugin-entry"),
            ({"interactiveMode": "Sometimes"}, "plugin-entry"),
            ({"command": ""}, "plugin-entry"),
            ({"args": ["a\0b"]}, "plugin-entry"),
            ({"env": [{"name": "A=B", "value": ""}]}, "plugin-entry"),
        ],
    )
    def test_an_entry_that_cannot_be_used(self, ask, entry, code):
        assert refusal(ask, exec_credential(token="t"), **entry).code == f"cluster.credential.{code}"


class TestUsingItAgain:
    def test_within_a_process_it_is_run_once(self, ask, tmp_path):
        script, runs = counting(tmp_path, token="t")
        ask(script), ask(script)
        assert runs() == 1

    def test_the_next_process_runs_it_again_where_it_names_no_expiry(self, ask, tmp_path):
        script, runs = counting(tmp_path, token="t")
        ask(script)
        exec_credentials._held.clear()
        ask(script)
        assert runs() == 2
        assert list((tmp_path / "run").rglob("*.json")) == []

    def test_the_next_process_finds_it_in_a_private_file_until_shortly_before_it_expires(self, ask, tmp_path):
        script, runs = counting(tmp_path, token="t", expirationTimestamp=in_seconds(3600))
        ask(script)
        exec_credentials._held.clear()
        assert ask(script).authorization == "Bearer t"
        assert runs() == 1
        (kept,) = (tmp_path / "run").rglob("*.json")
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700

    def test_in_its_last_minute_it_is_run_again_and_nothing_is_kept(self, ask, tmp_path):
        script, runs = counting(tmp_path, token="t", expirationTimestamp=in_seconds(50))
        ask(script), ask(script)
        assert runs() == 2
        assert list((tmp_path / "run").rglob("*.json")) == []

    def test_a_time_before_all_times_is_one_that_has_passed(self, ask, tmp_path):
        script, runs = counting(tmp_path, token="t", expirationTimestamp="0001-01-01T00:00:00Z")
        ask(script), ask(script)
        assert runs() == 2

    def test_what_another_process_had_handed_out_meanwhile_is_used(self, ask, tmp_path):
        script, runs = counting(tmp_path, token="old", expirationTimestamp=in_seconds(61))
        ask(script)
        old = dict(exec_credentials._held)
        (kept,) = (tmp_path / "run").rglob("*.json")
        later = json.loads(kept.read_text()) | {"token": "new", "expires": in_seconds(3600)}
        kept.write_text(json.dumps(later))
        exec_credentials._held.update(
            {key: replace(held, expires=datetime.now(UTC)) for key, held in old.items()}
        )
        assert ask(script).authorization == "Bearer new"
        assert runs() == 1

    def test_another_argument_variable_or_cluster_is_another_credential(self, ask, tmp_path):
        script, runs = counting(tmp_path, token="t", expirationTimestamp=in_seconds(3600))
        ask(script)
        ask(script, args=["x"])
        ask(script, env=[{"name": "A", "value": "b"}])
        ask(script, cluster={"server": "https://other.example"})
        assert runs() == 4

    @pytest.mark.parametrize(
        "variable",
        [
            "AWS_PROFILE",
            "AWS_SESSION_TOKEN",
            "CLOUDSDK_ACTIVE_CONFIG_NAME",
            "AZURE_CONFIG_DIR",
            "KUBELOGIN_USER",
        ],
    )
    def test_another_value_of_a_variable_that_it_may_read_is_another_account(self, ask, tmp_path, variable):
        script, runs = counting(tmp_path, token="t", expirationTimestamp=in_seconds(3600))
        ask(script, environ={variable: "one"})
        ask(script, environ={variable: "two"})
        ask(script)
        assert runs() == 3
        ask(script, environ={variable: "one"})
        assert runs() == 3

    @pytest.mark.parametrize("variable", ["PWD", "SHLVL", "TERM", "SSH_TTY", "BASH_FUNC_which%%"])
    def test_another_shell_of_the_same_user_is_the_same_account(self, ask, tmp_path, variable):
        script, runs = counting(tmp_path, token="t", expirationTimestamp=in_seconds(3600))
        ask(script, environ={variable: "one"})
        ask(script, environ={variable: "two"})
        assert runs() == 1

    def test_what_is_kept_can_be_dropped(self, ask, tmp_path):
        script, runs = counting(tmp_path, token="t", expirationTimestamp=in_seconds(3600))
        ask(script)
        assert exec_credentials.drop_all({"XDG_RUNTIME_DIR": f"{tmp_path}/run"}) == 1
        assert list((tmp_path / "run").rglob("*.json")) == []
        ask(script)
        assert runs() == 2

    def test_after_a_refusal_it_is_run_anew(self, ask, tmp_path):
        from gfattach.cluster.connection import ClusterRef
        from gfattach.cluster.kubeconfig.credentials import ExecOptions
        from gfattach.cluster.kubeconfig.resolve import resolve
        from gfattach.core.deadline import Deadline

        script, runs = counting(tmp_path, token="t", expirationTimestamp=in_seconds(3600))
        ask(script)
        environ = {"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": f"{tmp_path}/run"}
        resolve(ClusterRef((tmp_path / "config",)), Deadline.after(5), environ, ExecOptions(anew=True))
        assert runs() == 2

    @pytest.mark.parametrize("spoil", ["open to others", "garbage"])
    def test_a_kept_file_that_others_could_read_or_that_is_none_is_not_used(self, ask, tmp_path, spoil):
        script, runs = counting(tmp_path, token="t", expirationTimestamp=in_seconds(3600))
        ask(script)
        exec_credentials._held.clear()
        (kept,) = (tmp_path / "run").rglob("*.json")
        kept.chmod(0o644) if spoil == "open to others" else kept.write_text("[]")
        ask(script)
        assert runs() == 2

    def test_where_nothing_can_be_kept_it_still_works(self, ask, tmp_path):
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "gfattach").write_text("in the way")
        found = ask(exec_credential(token="t", expirationTimestamp=in_seconds(3600)))
        assert found.authorization == "Bearer t"
