"""`python -m gfattach.agent`: the process that holds the forwards. Started by the supervisor."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from gfattach.agent.serve import ServeOptions, serve, tell_parent
from gfattach.cluster.connection import ClusterRef
from gfattach.errors import GfattachError
from gfattach.files import storage_error


def main(arguments: list[str]) -> int:
    """Serve, and return the exit code; an error goes to standard output as one line of JSON.

    The arguments are the directory, the lease in seconds, and the cluster's reference as JSON ("null": none).
    """
    directory, lease, ref = arguments
    document = json.loads(ref)
    options = ServeOptions(
        Path(directory), None if document is None else ClusterRef.from_json(document), float(lease)
    )
    try:
        try:
            serve(options)
        except OSError as error:
            raise storage_error("use", options.directory, error) from error
    except GfattachError as error:
        said = {
            "code": error.code,
            "fact": error.fact,
            "hints": list(error.hints),
            "exit": int(error.exit_code),
        }
        tell_parent({"error": said})
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
