"""The agent as a process: started, found, ended, killed, stopped; what it keeps, and what it never gets."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gfattach.agent.control.server import IDLE_SECONDS, REQUEST_BYTES
from gfattach.agent.launch import supervisor
from gfattach.agent.launch.client import AgentClient
from gfattach.agent.model import log
from gfattach.agent.model.state import AGENT, log_file, read_state, to_document
from gfattach.core.deadline import Deadline
from gfattach.core.errors import AgentError, GfattachError
from gfattach.core.process import ProcessId
from tests.harness.cluster.agents import SECONDS, desk, get, nix, nix_forward, wait_for
from tests.harness.machine.budget import budget

__all__ = ["desk", "nix"]

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc")

#: Nothing of these is loaded by an agent, whatever it does.
HEAVY = (
    *("click", "grpc", "httpx", "kubernetes", "keyring", "rich", "google"),
    *("platformdirs", "tempfile", "shutil", "lzma", "typing_extensions"),
)


def soon() -> Deadline:
    return Deadline.after(SECONDS)


def sockets(desk):
    return sorted(path.name for path in desk.directory.glob("*.sock"))


class TestLife:
    def test_it_is_started_once_and_found_again(self, desk):
        client = desk.ensure()
        assert desk.ensure().status(soon()).pid == client.status(soon()).pid
        found = supervisor.find(desk.directory)
        assert found is not None
        assert found.control == client.control

    def test_many_that_start_it_at_once_get_the_same_one(self, desk):
        pids = []
        threads = [
            threading.Thread(target=lambda: pids.append(desk.ensure().status(soon()).pid)) for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
        assert len(pids) == 6
        assert len(set(pids)) == 1
        assert desk.processes() == [pids[0]]

    def test_many_processes_that_start_it_at_once_get_the_same_one(self, desk):
        script = (
            "import sys;from pathlib import Path;from gfattach.agent.launch import supervisor;"
            "from gfattach.core.deadline import Deadline;"
            "c=supervisor.ensure(Path(sys.argv[1]),None,deadline=Deadline.after(20));"
            "print(c.status(Deadline.after(5)).pid)"
        )
        command = [sys.executable, "-c", script, str(desk.directory)]
        children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
        pids = {child.communicate(timeout=SECONDS)[0].strip() for child in children}
        assert len(pids) == 1
        wait_for(lambda: desk.processes() == [int(*pids)])

    def test_nothing_of_it_is_left_after_stop(self, desk, nix):
        desk.register(nix_forward(nix.port))
        assert sockets(desk) == ["control.sock", "nix.sock"]
        assert supervisor.stop(desk.directory)
        assert sockets(desk) == []
        assert not AGENT.state_file(desk.directory).exists()
        assert desk.processes() == []
        assert not supervisor.stop(desk.directory)
        assert supervisor.find(desk.directory) is None

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_a_signal_ends_it_without_a_trace(self, desk, nix, number):
        desk.register(nix_forward(nix.port))
        os.kill(desk.status().pid, number)
        assert wait_for(lambda: desk.processes() == []) < budget(2)
        assert sockets(desk) == []
        assert "Traceback" not in log_file(desk.directory).read_text()

    def test_asked_over_its_socket_it_ends(self, desk):
        desk.ensure().stop(soon())
        wait_for(lambda: desk.processes() == [])
        assert "Traceback" not in log_file(desk.directory).read_text()

    def test_it_ends_when_the_record_is_gone(self, desk, nix):
        desk.register(nix_forward(nix.port))
        desk.record.unlink()
        wait_for(lambda: desk.processes() == [])
        assert not desk.directory.exists()

    def test_it_ends_when_nobody_registers(self, desk):
        desk.ensure()
        wait_for(lambda: desk.processes() == [])

    def test_it_ends_with_its_lease_which_use_renews(self, desk, nix):
        (forward,) = desk.register(nix_forward(nix.port))
        desk.wait("up")
        desk.ensure(lease_seconds=3.0)
        for _ in range(4):
            time.sleep(1)
            get(forward, "tcp")
        assert desk.status().lease_left_seconds > 1
        wait_for(lambda: desk.processes() == [])
        assert "lease" in log_file(desk.directory).read_text()

    def test_a_killed_one_is_replaced_and_its_forwards_resumed(self, desk, nix):
        (forward,) = desk.register(nix_forward(nix.port))
        desk.wait("up")
        killed = desk.status().pid
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: desk.processes() == [])
        assert sockets(desk) == ["control.sock", "nix.sock"]
        assert supervisor.find(desk.directory) is None
        began = time.monotonic()
        desk.ensure()
        desk.wait("up")
        assert time.monotonic() - began < budget(3)
        assert desk.status().pid != killed
        assert (desk.forward().port, desk.forward().socket_path) == (forward.port, forward.socket_path)
        assert b"StoreDir" in get(forward, "unix")

    def test_leftovers_of_a_killed_one_can_be_stopped(self, desk, nix):
        desk.register(nix_forward(nix.port))
        state = read_state(desk.directory)
        assert state is not None
        os.kill(state.process.pid, signal.SIGKILL)
        # A process that is ending has lost its command line before the kernel counts it as dead.
        wait_for(lambda: desk.processes() == [] and not state.process.alive())
        assert not supervisor.stop(desk.directory)
        assert sockets(desk) == []

    def test_one_that_does_not_answer_is_replaced(self, desk):
        pid = desk.ensure().status(soon()).pid
        os.kill(pid, signal.SIGSTOP)
        assert desk.ensure().status(soon()).pid != pid

    def test_one_of_another_version_is_replaced(self, desk):
        pid = desk.ensure().status(soon()).pid
        document = to_document(read_state(desk.directory)) | {"version": "0.0.1"}  # type: ignore[arg-type]
        AGENT.state_file(desk.directory).write_text(json.dumps(document))
        assert desk.ensure().status(soon()).pid != pid
        assert len(desk.processes()) == 1

    def test_another_process_with_the_number_of_a_dead_one_is_left_alone(self, desk):
        desk.ensure()
        state = read_state(desk.directory)
        supervisor.stop(desk.directory)
        other = subprocess.Popen(["sleep", "30"])
        try:
            reused = type(state)(ProcessId(other.pid, "1"), state.control, None)  # type: ignore[misc]
            AGENT.write_state(desk.directory, reused)
            desk.ensure()
            supervisor.stop(desk.directory)
            assert other.poll() is None
        finally:
            other.kill()
            other.wait()

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"pid": "x"}'])
    def test_a_damaged_state_file_is_no_obstacle(self, desk, content):
        desk.directory.mkdir(parents=True)
        AGENT.state_file(desk.directory).write_bytes(content)
        (desk.directory / "registrations.json").write_bytes(content)
        assert desk.ensure().status(soon()).forwards == ()

    def test_one_that_cannot_start_says_why(self, desk):
        desk.directory.mkdir(parents=True)
        (desk.directory / "control.sock").mkdir()
        with pytest.raises(GfattachError) as caught:
            desk.ensure()
        assert "control.sock" in caught.value.fact
        (desk.directory / "control.sock").rmdir()


class TestCost:
    def test_it_is_ready_after_a_third_of_a_second_of_work(self, desk):
        pid = desk.ensure().status(soon()).pid
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        assert seconds < budget(0.3), "user and system time up to here"

    def test_it_idles_in_thirty_mebibytes_with_two_forwards(self, desk, nix):
        desk.register(nix_forward(nix.port, "one"), nix_forward(nix.port, "two"))
        desk.wait("up", "one")
        desk.wait("up", "two")
        assert desk.status().rss_bytes < 30 << 20

    def test_it_loads_nothing_heavy(self, desk, nix, tmp_path):
        script = (
            "import sys\nfrom gfattach.agent.__main__ import main\n"
            "code = main(sys.argv[2:])\nopen(sys.argv[1], 'w').write(' '.join(sys.modules))\nsys.exit(code)\n"
        )
        out, arguments = tmp_path / "modules", [str(desk.directory), str(desk.root), "60", "null"]
        command = [sys.executable, "-c", script, str(out), *arguments]
        child = subprocess.Popen(command, stdout=subprocess.PIPE)
        child.stdout.readline()
        (forward,) = desk.register(nix_forward(nix.port))
        desk.wait("up")
        get(forward, "tcp")
        child.send_signal(signal.SIGTERM)
        assert child.wait(SECONDS) == 0
        child.stdout.close()
        loaded = {name.partition(".")[0] for name in out.read_text().split()}
        assert "asyncio" in loaded
        assert loaded.isdisjoint(HEAVY)


class TestSecrets:
    CANARY = "canary-2a9f"

    def test_its_environment_holds_no_secret(self, desk, monkeypatch):
        for name in ("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "GFATTACH_CACHE_TOKEN", "SSH_AUTH_SOCK"):
            monkeypatch.setenv(name, self.CANARY)
        monkeypatch.setenv("KUBECONFIG", "/kept")
        pid = desk.ensure().status(soon()).pid
        held = Path(f"/proc/{pid}/environ").read_bytes()
        assert self.CANARY.encode() not in held
        assert b"KUBECONFIG=/kept" in held

    def test_it_holds_no_file_of_the_command_that_started_it(self, desk):
        with (desk.root / "open.txt").open("w") as file:
            os.set_inheritable(file.fileno(), True)
            pid = desk.ensure().status(soon()).pid
            held = []
            for path in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):  # closed since it was listed
                    held.append(path.readlink())
        assert desk.root / "open.txt" not in held
        assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")


class TestStorage:
    def test_a_disk_that_takes_nothing_ends_no_connection(self, desk, nix):
        (forward,) = desk.register(nix_forward(nix.port))
        desk.wait("up")
        for name in ("ports.json", "registrations.json"):
            (desk.directory / name).unlink()
            (desk.directory / name).mkdir()
        for _ in range(2):
            assert b"StoreDir" in get(forward, "tcp")
        kept = desk.root / "log"
        os.link(log_file(desk.directory), kept)
        desk.record.unlink()
        wait_for(lambda: desk.processes() == [])
        said = kept.read_text()
        assert "cannot" in said
        assert "Traceback" not in said


class TestLog:
    def test_two_files_of_a_bounded_size(self, desk):
        script = (
            "import sys;from pathlib import Path;from gfattach.agent.model import log;"
            "log.log_to(Path(sys.argv[1]));[log.LOG.info('x' * 900) for _ in range(5000)];"
            "sys.stderr.write('a word of a library\\n')"
        )
        desk.directory.mkdir(parents=True)
        subprocess.run(
            [sys.executable, "-c", script, str(desk.directory)], check=True, timeout=budget(2 * SECONDS)
        )
        files = sorted(desk.directory.glob("agent.log*"))
        assert [path.name for path in files] == ["agent.log", "agent.log.1"]
        for path in files:
            assert path.stat().st_size <= log.LOG_BYTES + 100
            assert path.stat().st_mode & 0o777 == 0o600
        assert files[0].read_text().endswith("a word of a library\n")

    def test_the_level_can_be_changed(self, desk):
        client = desk.ensure()
        assert client.status(soon()).log_level == "info"
        client.set_log_level("debug", soon())
        assert client.status(soon()).log_level == "debug"
        with pytest.raises(AgentError) as caught:
            client.set_log_level("loud", soon())
        assert caught.value.code == "agent.request"


class TestControl:
    def test_garbage_is_answered_or_cut_and_ends_nothing(self, desk):
        client = desk.ensure()
        dice = random.Random(7)
        lines = [
            b"\n",
            b"{}\n",
            b"[]\n",
            b"null\n",
            b'"x"\n',
            b"{\n",
            b"\xff\xfe\n",
            b"[" * 100_000 + b"\n",
            b'{"version": 1}\n',
            b'{"version": 2, "op": "status"}\n',
            b'{"version": 1, "op": ["status"]}\n',
            b'{"version": 1, "op": "register"}\n',
            b'{"version": 1, "op": "register", "registration": 5}\n',
            b'{"version": 1, "op": "register", "registration": '
            b'{"record": "x", "forwards": [], "guarded": []}}\n',
            b'{"version": 1, "op": "lease", "seconds": "x"}\n',
            b'{"version": 1, "op": "lease", "seconds": NaN}\n',
            b'{"version": 1, "op": "await", "names": [], "states": [], "seconds": NaN}\n',
            b'{"version": 1, "op": "' + b"x" * 100_000 + b'"}\n',
            b"x" * (REQUEST_BYTES + 10) + b"\n",
            *[dice.randbytes(dice.randrange(1, 300)) + b"\n" for _ in range(50)],
        ]
        for line in lines:
            with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
                connection.settimeout(SECONDS)
                connection.connect(str(client.control))
                connection.sendall(line)
                said = connection.makefile("rb").readline()
                if said:
                    answer = json.loads(said)
                    assert answer["version"] == 1
                    assert answer["ok"] is False
                    assert answer["error"]["code"].startswith("agent.")
                    assert len(said) < 1000
        assert client.status(soon()).forwards == ()
        assert "Traceback" not in log_file(desk.directory).read_text()

    def test_clients_that_say_nothing_do_not_keep_others_out_for_long(self, desk, nix):
        desk.register(nix_forward(nix.port))
        client = desk.ensure()
        with contextlib.ExitStack() as silent:
            for _ in range(40):
                connection = silent.enter_context(socket.socket(socket.AF_UNIX))
                connection.connect(str(client.control))

            def answers():
                with contextlib.suppress(AgentError):
                    return client.status(soon())

            assert wait_for(answers, IDLE_SECONDS + 4) < IDLE_SECONDS + 4

    def test_nobody_there_is_an_error_with_a_next_step(self, tmp_path):
        with pytest.raises(AgentError) as caught:
            AgentClient(tmp_path / "none.sock").status(soon())
        assert caught.value.code == "agent.gone"
        assert "gfattach up" in " ".join(caught.value.hints)

    def test_a_record_that_is_not_there_is_not_registered(self, desk, nix):
        desk.record.unlink()
        with pytest.raises(AgentError) as caught:
            desk.register(nix_forward(nix.port))
        assert caught.value.code == "agent.record"
