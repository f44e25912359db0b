"""What the wire to a cluster costs before it does anything: the agent lives for days with it."""

import subprocess
import sys

HEAVY = ("click", "grpc", "httpx", "kubernetes", "websockets", "cryptography", "yaml", "keyring")


def measured(modules):
    """The heavy modules that importing `modules` loads, and the process's memory then, in MiB."""
    script = (
        f"import sys, {modules}\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
        "for line in open('/proc/self/status'):\n"
        "    if line.startswith('VmRSS'): print(int(line.split()[1]) / 1024)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    heavy, memory = done.stdout.splitlines()
    return heavy, float(memory)


def test_forwarding_loads_nothing_heavy_and_little_beyond_asyncio():
    _, before = measured("asyncio, ssl")
    heavy, memory = measured("gfattach.cluster.wire.portforward, gfattach.cluster.wire.relay")
    assert heavy == "[]"
    assert memory - before < 7  # MB: 4.5 on Python 3.11, 5.5 on 3.13, 6.2 on 3.14
