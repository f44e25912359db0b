"""`python -m gfattach.agent`: the process that holds the forwards. Started by the supervisor."""

from __future__ import annotations

import gc
import sys


def main(arguments: list[str]) -> int:
    """Serve, and return the exit code; an error goes to standard output (`gfattach.core.daemon.start`).

    The arguments are the directory, the user's state directory, the lease in seconds, and the cluster's
    reference as JSON ("null": none).
    Standard input is a JSON object: variables of the environment that the process was not started with.
    """
    # What is loaded stays: to look through it for garbage again and again is time lost.
    gc.disable()
    # msgspec looks here for what Pythons before 3.11 lacked, and does without: a third of a mebibyte.
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]
    import json
    import os
    from pathlib import Path

    from gfattach.agent.serve import ServeOptions, serve
    from gfattach.cluster.connection import ClusterRef
    from gfattach.core.daemon.readiness import served

    del sys.modules["typing_extensions"]
    gc.freeze()
    gc.enable()
    os.environ.update(json.loads(sys.stdin.buffer.read() or b"{}"))
    directory, state, lease, ref = arguments
    document = json.loads(ref)
    options = ServeOptions(
        Path(directory),
        Path(state),
        None if document is None else ClusterRef.from_json(document),
        float(lease),
    )
    return served(lambda: serve(options), options.directory)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
