"""The stage of the machine: whether it has what an attach and a build need. Each probe judges facts."""

from __future__ import annotations

import os

from gfattach.core.finding import Finding, Inquiry, Probe, Stage, fail, ok, warn
from gfattach.probes.machine.facts import SOCKET_PATH_BYTES, Disk, MachineFacts

_MIB = 1024 * 1024
_GIB = 1024 * _MIB

#: Below these an `up` cannot write what it has to, or a build soon cannot.
_LEAST_DISK, _SMALL_DISK = 64 * _MIB, 2 * _GIB
_LEAST_INODES, _SMALL_INODES = 200, 20_000

#: What a JVM of Bazel and a small build take together; a server alone is 200 to 250 MB.
_SMALL_MEMORY = 1 * _GIB

#: Descriptors that 60 connections through a forward take, two each, and what the agent has besides.
_FEW_DESCRIPTORS = 256

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_EXCEPTIONS = ("no_proxy", "NO_PROXY")


def _gib(size: int) -> str:
    return f"{size / _GIB:.1f} GiB" if size >= _GIB else f"{size / _MIB:.0f} MiB"


def _ask_disk(inquiry: Inquiry[MachineFacts]) -> Finding:
    disks = inquiry.subject.disks
    free = min((disk.free for disk in disks), default=0)
    for disk in disks:
        if disk.read_only:
            why = "neither a record nor a fragment can be written there"
            hint = f"see how it is mounted: findmnt --target {disk.path}"
            return fail("machine.disk.read-only", f"{disk.path} is on a read-only file system", why, hint)
    tight = min(disks, key=lambda disk: disk.free, default=None)
    if tight is not None and tight.free < _SMALL_DISK:
        return _tight(tight)
    return ok("machine.disk.ok", f"{_gib(free)} free", free=free)


def _tight(disk: Disk) -> Finding:
    seen = f"{_gib(disk.free)} of {_gib(disk.total)} are free at {disk.path}"
    hint = f"see what takes it: du -xh --max-depth=2 {disk.path} | sort -h | tail"
    if disk.free < _LEAST_DISK:
        return fail("machine.disk.full", seen, "nothing can be written there soon", hint)
    return warn("machine.disk.small", seen, "a build may fill it", hint, free=disk.free)


def _ask_inodes(inquiry: Inquiry[MachineFacts]) -> Finding:
    counted = [disk for disk in inquiry.subject.disks if disk.inodes is not None]
    tight = min(counted, key=lambda disk: disk.inodes or 0, default=None)
    if tight is None or tight.inodes is None or tight.inodes >= _SMALL_INODES:
        return ok("machine.inodes.ok", "enough" if counted else "this file system counts none")
    seen = f"{tight.inodes} inodes are free at {tight.path}"
    hint = f"see how many there are: df -i {tight.path}"
    why = "a file system without inodes is full, however many bytes are free"
    if tight.inodes < _LEAST_INODES:
        return fail("machine.inodes.none", seen, why, hint)
    return warn("machine.inodes.few", seen, why, hint)


def _ask_memory(inquiry: Inquiry[MachineFacts]) -> Finding:
    memory = inquiry.subject.memory
    if memory is None:
        return ok("machine.memory.untold", "this system does not tell")
    if memory < _SMALL_MEMORY:
        return warn(
            "machine.memory.small",
            f"{_gib(memory)} of memory can be had",
            "a server of Bazel is a JVM of 200 to 250 MB before it builds anything",
            "bound it in your own rc: startup --host_jvm_args=-Xmx512m",
        )
    return ok("machine.memory.ok", f"{_gib(memory)} can be had", memory=memory)


def _ask_descriptors(inquiry: Inquiry[MachineFacts]) -> Finding:
    facts = inquiry.subject
    if facts.descriptors < _FEW_DESCRIPTORS:
        return warn(
            "machine.descriptors.few",
            f"a process may have {facts.descriptors} descriptors",
            "each connection through a forward takes two",
            f"raise it: ulimit -n {min(facts.most_descriptors, 4096)}; then: gfattach up",
        )
    return ok("machine.descriptors.ok", f"{facts.descriptors} a process")


def _ask_socket(inquiry: Inquiry[MachineFacts]) -> Finding:
    path = inquiry.subject.socket_path
    length = len(os.fsencode(path)) + 1
    if length > SOCKET_PATH_BYTES:
        return warn(
            "machine.socket.long",
            f"a socket's path would have {length} bytes, and a unix socket's may have {SOCKET_PATH_BYTES}",
            "a shorter place is used for it",
            "to choose one: set XDG_RUNTIME_DIR to a private directory with a short path",
        )
    return ok("machine.socket.ok", f"{length} of {SOCKET_PATH_BYTES} bytes")


def _ask_proxy(inquiry: Inquiry[MachineFacts]) -> Finding:
    environ = inquiry.subject.environ
    named = [name for name in _PROXIES if environ.get(name)]
    if not named:
        return ok("machine.proxy.none", "no proxy is set")
    exceptions = ",".join(environ.get(name, "") for name in _EXCEPTIONS)
    words = {word.strip().lower() for word in exceptions.split(",")}
    if words & {"127.0.0.1", "localhost", "*", "127.0.0.0/8"}:
        return ok("machine.proxy.excepted", f"{named[0]} is set, and this machine is excepted")
    return warn(
        "machine.proxy.loopback",
        f"{named[0]} is set, and no_proxy does not except 127.0.0.1",
        "Nix and other programs ask the proxy for what listens on this machine",
        f"except it: export no_proxy=127.0.0.1,localhost{',' + exceptions if exceptions.strip(',') else ''}",
    )


def _ask_kernel(inquiry: Inquiry[MachineFacts]) -> Finding:
    facts = inquiry.subject
    if facts.wsl is None:
        return ok("machine.kernel.ok", f"{facts.system} on {facts.architecture}")
    if "wsl2" not in facts.wsl.lower():
        return warn(
            "machine.kernel.wsl1",
            f"this is the first Windows Subsystem for Linux ({facts.wsl})",
            "its kernel tells no one whose a connection is, and sleeps through forwards",
            "convert the distribution, from Windows: wsl --set-version NAME 2",
        )
    return ok("machine.kernel.wsl2", f"Windows Subsystem for Linux 2 ({facts.wsl})")


STAGE: Stage[MachineFacts] = Stage(
    "machine",
    "look at this machine",
    (
        Probe(
            "machine.disk",
            "is there space where gfattach and Bazel write",
            _ask_disk,
            {
                "machine.disk.ok": "there is space",
                "machine.disk.small": "little space is left on a disk that is written to",
                "machine.disk.full": "next to no space is left on a disk that is written to",
                "machine.disk.read-only": "a file system that has to be written to is read-only",
            },
        ),
        Probe(
            "machine.inodes",
            "are there inodes",
            _ask_inodes,
            {
                "machine.inodes.ok": "there are inodes, or the file system counts none",
                "machine.inodes.few": "few inodes are left",
                "machine.inodes.none": "next to no inodes are left",
            },
        ),
        Probe(
            "machine.memory",
            "is there memory for a JVM",
            _ask_memory,
            {
                "machine.memory.ok": "there is memory",
                "machine.memory.small": "little memory is left for a server of Bazel",
                "machine.memory.untold": "the system does not tell how much memory is left",
            },
        ),
        Probe(
            "machine.descriptors",
            "how many descriptors may a process have",
            _ask_descriptors,
            {
                "machine.descriptors.ok": "a process may have enough descriptors",
                "machine.descriptors.few": "a process may have few descriptors",
            },
        ),
        Probe(
            "machine.socket",
            "is the path of a socket short enough",
            _ask_socket,
            {
                "machine.socket.ok": "the path of a socket is short enough",
                "machine.socket.long": "the path of a socket would be too long",
            },
        ),
        Probe(
            "machine.proxy",
            "does a proxy come before this machine's own ports",
            _ask_proxy,
            {
                "machine.proxy.none": "no proxy is set",
                "machine.proxy.excepted": "a proxy is set, and this machine is excepted from it",
                "machine.proxy.loopback": "a proxy is set, and this machine is not excepted from it",
            },
        ),
        Probe(
            "machine.kernel",
            "what kernel is this",
            _ask_kernel,
            {
                "machine.kernel.ok": "a kernel that tells what is asked of it",
                "machine.kernel.wsl2": "a second Windows Subsystem for Linux",
                "machine.kernel.wsl1": "a first Windows Subsystem for Linux",
            },
        ),
    ),
    headline="machine.disk",
)
