"""From what was recorded to one example a code, without anything of the machine that recorded it."""

import json
import os
import re
from pathlib import Path
from typing import Any

from gfattach.codes.catalogue import groups

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "gfattach/codes/examples.json"

#: What is of one run or one machine only, and what stands for it. Applied in this order.
_PLACES = (
    (re.escape(str(ROOT)), "/opt/gfattach"),
    (r"/[^\s'\"]*?/(?:pytest-of-[^/]+/pytest-\d+/(?:popen-gw\d+/)?|popen-gw\d+/)[^/\s'\"]+", "/home/dev"),
    (r"/[^\s'\"]*?/gfattach-tests/(?:[^\s'\"/,]+/)*([^\s'\"/,]+)", r"/opt/bazel/\1"),
    (r"/tmp/gfattach-home-\w+/home", "/home/dev"),
    (r"/tmp/gfattach-home-\w+/run", "/run/user/1000"),
    (r"/tmp/[\w.-]+", "/tmp/gfattach"),
    (r"/home/dev\d*/(?:home|workspace)\b", "/home/dev"),
    (r"\b127\.\d+\.\d+\.\d+:\d{4,5}\b", "127.0.0.1:9092"),
    (r"\blocalhost:\d{4,5}\b", "localhost:9092"),
    (r"sport = :\d+", "sport = :9092"),
    (r"\bprocess \d+\b", "process 4711"),
)


def cleaned(text: str) -> str:
    """`text` with paths, ports and process numbers of one run replaced by ones that mean as much."""
    home = os.environ.get("GFATTACH_REAL_HOME") or str(Path.home())
    for pattern, stands in ((re.escape(home), "/home/dev"), *_PLACES):
        text = re.sub(pattern, stands, text)
    return text


def merge(directory: Path) -> None:
    """Keep one example for each code of the catalogue: the one there is, else the fullest recorded one."""
    codes = [entry.code for group in groups() for entry in group.codes]
    kept = json.loads(EXAMPLES.read_text(encoding="utf-8")) if EXAMPLES.exists() else {}
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(directory.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            made = json.loads(line)
            code, seen = made.pop("code"), made["seen"]
            if (
                not seen
                or len(seen) > 400
                or (code in found and len(made["hints"]) <= len(found[code]["hints"]))
            ):
                continue
            found[code] = {
                "seen": cleaned(seen),
                "why": cleaned(made["why"]),
                "hints": [cleaned(hint) for hint in made["hints"]],
            }
    merged = {code: kept.get(code) or found.get(code) for code in codes if code in kept or code in found}
    EXAMPLES.write_text(json.dumps(merged, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
