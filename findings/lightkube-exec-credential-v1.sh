#!/usr/bin/env bash
# lightkube 1.0.1 takes exec plugins of client.authentication.k8s.io/v1beta1 and refuses v1, which is the stable one since
# Kubernetes 1.22 and what clouds write today. The same entry with v1beta1 works.
set -euo pipefail
room=$(mktemp -d); trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv" && "$room/venv/bin/pip" install --quiet lightkube==1.0.1
cat > "$room/see.py" <<'PY'
import json, pathlib, sys
from lightkube import Client
from lightkube.config.kubeconfig import KubeConfig
place = pathlib.Path(sys.argv[1])
for version in ("v1beta1", "v1"):
    api = f"client.authentication.k8s.io/{version}"
    plugin = place / f"plugin-{version}"
    answer = json.dumps({"apiVersion": api, "kind": "ExecCredential", "status": {"token": "abc"}})
    plugin.write_text(f"#!/bin/sh\necho '{answer}'\n")
    plugin.chmod(0o755)
    made = KubeConfig.from_dict({
        "current-context": "x",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"exec": {
            "apiVersion": api, "command": str(plugin), "interactiveMode": "Never"}}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}]})
    from lightkube.resources.core_v1 import Namespace
    try:
        Client(config=made).get(Namespace, "default")
    except Exception as error:
        print(version, type(error).__name__)
PY
seen=$("$room/venv/bin/python" "$room/see.py" "$room" 2>/dev/null)
printf 'lightkube 1.0.1, plugin version and how a request ends (ConnectError: the plugin was taken):\n%s\n' "$seen"
[ "$seen" = "$(printf 'v1beta1 ConnectError\nv1 ConfigError')" ]
