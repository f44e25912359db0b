#!/usr/bin/env bash
# lightkube 1.0.1 reads KUBECONFIG as the name of one file: a list (FILE:FILE, as kubectl merges it) is "not found". And a
# cluster's proxy-url is passed over without a word: it dials the server itself, which only the proxy may be able to reach.
set -euo pipefail
room=$(mktemp -d); trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv" && "$room/venv/bin/pip" install --quiet lightkube==1.0.1
cat > "$room/see.py" <<'PY'
import json, os, pathlib, socket, sys, threading
from lightkube import Client
from lightkube.config.kubeconfig import KubeConfig
from lightkube.resources.core_v1 import Namespace
place, dialled = pathlib.Path(sys.argv[1]), []
def listen(name):
    made = socket.create_server(("127.0.0.1", 0))
    def take():
        while True:
            connection, _ = made.accept()
            dialled.append(name)
            connection.close()
    threading.Thread(target=take, daemon=True).start()
    return made.getsockname()[1]
server, proxy = listen("server"), listen("proxy")
document = {
    "apiVersion": "v1", "kind": "Config", "current-context": "x",
    "clusters": [{"name": "c", "cluster": {
        "server": f"http://127.0.0.1:{server}", "proxy-url": f"http://127.0.0.1:{proxy}"}}],
    "users": [{"name": "u", "user": {"token": "abc"}}],
    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}]}
for name in ("a", "b"):
    (place / name).write_text(json.dumps(document))
os.environ["KUBECONFIG"] = f"{place / 'a'}:{place / 'b'}"
try:
    KubeConfig.from_env()
    print("a list is read")
except Exception as error:
    print("a list:", type(error).__name__, "not found" in str(error))
os.environ["KUBECONFIG"] = str(place / "a")
try:
    Client().get(Namespace, "default")
except Exception:
    pass
print("dialled:", *sorted(set(dialled)))
PY
seen=$("$room/venv/bin/python" "$room/see.py" "$room" 2>/dev/null)
printf 'lightkube 1.0.1:\n%s\n' "$seen"
[ "$seen" = "$(printf 'a list: ConfigError True\ndialled: server')" ]
