#!/usr/bin/env bash
# in-toto-attestation 0.9.3 (PyPI) holds the predicate of a Statement v1 as a protobuf Struct, whose numbers are doubles: a count of
# 0 is written as 0.0, and a number above 2^53, a run's or a time in nanoseconds, is another one after being read. Bytes that were
# signed or digested cannot be had again from a Statement that was read so, and a reader that wants an integer finds none.
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install --quiet --disable-pip-version-check in-toto-attestation==0.9.3 protobuf==6.33.0
"$room/venv/bin/python" - << 'END'
import json
from google.protobuf import json_format
from in_toto_attestation.v1 import statement_pb2
document = {
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [{"name": "//app:image", "digest": {"sha256": "0" * 64}}],
    "predicateType": "https://example.org/execution/v1",
    "predicate": {"restarts": 0, "began": 9007199254740993},
}
read = json_format.MessageToDict(json_format.ParseDict(document, statement_pb2.Statement()))
print("in-toto-attestation 0.9.3:", json.dumps(document["predicate"]), "is read as", json.dumps(read["predicate"]))
assert json.dumps(read["predicate"], sort_keys=True) == '{"began": 9007199254740992.0, "restarts": 0.0}'
END
