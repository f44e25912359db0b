#!/usr/bin/env bash
# The official Python client (kubernetes 37.0.2) takes a kubeconfig's tokenFile with the newline at its end, and then
# cannot send the header: ValueError. kubectl and client-go trim the file; `echo TOKEN > file` and most editors write one.
set -euo pipefail
room=$(mktemp -d); trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv" && "$room/venv/bin/pip" install --quiet kubernetes==37.0.2
cat > "$room/see.py" <<'PY'
import json, pathlib, sys
from kubernetes import client, config
place = pathlib.Path(sys.argv[1])
(place / "token").write_text("abc\n")
(place / "config").write_text(json.dumps({
    "apiVersion": "v1", "kind": "Config", "current-context": "x",
    "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
    "users": [{"name": "u", "user": {"tokenFile": str(place / "token")}}],
    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}]}))
config.load_kube_config(str(place / "config"))
try:
    client.CoreV1Api().list_namespaced_pod("default", _request_timeout=2)
except Exception as error:
    print(f"{type(error).__name__}: {error}")
PY
seen=$("$room/venv/bin/python" "$room/see.py" "$room" 2>/dev/null | tail -n 1)
echo "kubernetes 37.0.2, tokenFile that ends in a newline: $seen"
[ "$seen" = "ValueError: Invalid header value b'Bearer abc\\n'" ]
