#!/usr/bin/env bash
# A kubeconfig's user may say `as` (impersonation). Two Python clients (kubernetes 37.0.2, lightkube 1.0.1) read such a file
# without a word and send no Impersonate-User: what they do is done as the user itself, with that user's own rights.
set -euo pipefail
room=$(mktemp -d); trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv" && "$room/venv/bin/pip" install --quiet kubernetes==37.0.2 lightkube==1.0.1
cat > "$room/see.py" <<'PY'
import http.server, json, os, pathlib, sys, threading
seen = []
class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        seen.append({name.lower() for name in self.headers})
        body = json.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": []}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
file = pathlib.Path(sys.argv[1], "config")
file.write_text(json.dumps({
    "apiVersion": "v1", "kind": "Config", "current-context": "x",
    "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
    "users": [{"name": "u", "user": {"token": "abc", "as": "jane", "as-groups": ["dev"]}}],
    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}]}))
os.environ["KUBECONFIG"] = str(file)
from kubernetes import client, config
config.load_kube_config()
client.CoreV1Api().list_namespaced_pod("default")
print("kubernetes", "authorization" in seen[-1], any(name.startswith("impersonate") for name in seen[-1]))
from lightkube import Client
from lightkube.resources.core_v1 import Pod
list(Client().list(Pod))
print("lightkube", "authorization" in seen[-1], any(name.startswith("impersonate") for name in seen[-1]))
PY
seen=$("$room/venv/bin/python" "$room/see.py" "$room" 2>/dev/null)
printf 'client, sent its token, asked to impersonate:\n%s\n' "$seen"
[ "$seen" = "$(printf 'kubernetes True False\nlightkube True False')" ]
