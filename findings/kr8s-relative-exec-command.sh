#!/usr/bin/env bash
# A kubeconfig may name an exec plugin by a path with a slash, relative to the directory of the kubeconfig (client-go, kubectl).
# kr8s 0.20.15 looks for it in the directory that the program happens to run in, and fails with FileNotFoundError elsewhere.
set -euo pipefail
room=$(mktemp -d); trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv" && "$room/venv/bin/pip" install --quiet kr8s==0.20.15
cat > "$room/see.py" <<'PY'
import json, os, pathlib, sys
import kr8s
place = pathlib.Path(sys.argv[1])
api = "client.authentication.k8s.io/v1"
answer = json.dumps({"apiVersion": api, "kind": "ExecCredential", "status": {"token": "abc"}})
(place / "plugin").write_text(f"#!/bin/sh\necho '{answer}'\n")
(place / "plugin").chmod(0o755)
(place / "config").write_text(json.dumps({
    "apiVersion": "v1", "kind": "Config", "current-context": "x",
    "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
    "users": [{"name": "u", "user": {"exec": {
        "apiVersion": api, "command": "./plugin", "interactiveMode": "Never"}}}],
    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}]}))
for where in (place, pathlib.Path("/")):
    os.chdir(where)
    try:
        list(kr8s.api(kubeconfig=str(place / "config")).get("pods"))
    except Exception as error:
        print("beside the kubeconfig:" if where == place else "elsewhere:", type(error).__name__)
PY
seen=$("$room/venv/bin/python" "$room/see.py" "$room" 2>/dev/null)
printf 'kr8s 0.20.15 (ConnectError: the plugin was run):\n%s\n' "$seen"
[ "$seen" = "$(printf 'beside the kubeconfig: ConnectError\nelsewhere: FileNotFoundError')" ]
