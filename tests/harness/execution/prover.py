"""`gfattach rbe prove`, run as a command on targets of one workspace, each with evidence of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.execution.workspaces import environment
from tests.harness.machine.budget import budget


@dataclass(frozen=True)
class Prover:
    """Who proves what and where: `bazel` is the program and the flags that it needs, `url` the executor."""

    workspace: Path
    url: str
    bazel: tuple[str, tuple[str, ...]]
    tmp_path: Path

    def __call__(
        self,
        label: str,
        *options: str,
        url: str | None = None,
        flags: tuple[str, ...] = (),
        evidence: str = "",
        **variables: str,
    ) -> tuple[int, dict[str, Any], set[str], Path]:
        """The exit code, the document on stdout, the codes of what failed, and where the evidence is.

        `evidence` is the name of its directory in `tmp_path`, where the command runs.
        """
        program, own = self.bazel
        evidence = evidence or str(self.tmp_path / f"evidence-{len(list(self.tmp_path.iterdir()))}")
        command = [sys.executable, "-m", "gfattach", "rbe", "prove", label, "--allow-candidate"]
        command += ["--workspace", str(self.workspace), "--bazel", program, "--evidence", evidence]
        command += ["--output", "json", *options, "--", *own, *flags]
        done = subprocess.run(
            command,
            env={**os.environ, **environment(url or self.url), **variables},
            cwd=self.tmp_path,
            capture_output=True,
            text=True,
            timeout=budget(900),
        )
        document = json.loads(done.stdout)
        return done.returncode, document, codes_of(document), self.tmp_path / evidence


def codes_of(document: dict[str, Any]) -> set[str]:
    """The codes of what failed, in a command's document."""
    findings = [each for stage in document["stages"] for each in stage["findings"]]
    return {each["code"] for each in findings if each["status"] == "fail"}
