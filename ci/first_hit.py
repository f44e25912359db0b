"""Print the seconds to the first cache hit of a recorded run; nothing where nothing was hit."""

import json
import sys
from pathlib import Path

first = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["result"].get("first_hit")
if first:
    print(first["seconds"])
