#!/usr/bin/env bash
# KUBECONFIG=dev:prod, each with a current-context: kubectl and the documented rules take that of the first file, dev. The
# official clients for Python (kubernetes 37.0.2) and, by default, for Node (@kubernetes/client-node 1.4.0) take the last one's:
# a program that a developer starts in the shell where kubectl says dev speaks to prod, with prod's credentials. All else that
# Python merges is the first file's, as it should be: of two clusters of one name it takes the first.
set -euo pipefail
room=$(mktemp -d); trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv" && "$room/venv/bin/pip" install --quiet --no-compile kubernetes==37.0.2
npm install --silent --no-audit --no-fund --prefix "$room" @kubernetes/client-node@1.4.0 > /dev/null
make() {
    cat > "$room/$1" <<JSON
{"apiVersion": "v1", "kind": "Config", "current-context": "$2",
 "clusters": [{"name": "$3", "cluster": {"server": "http://$2.example"}}],
 "users": [{"name": "$2", "user": {"token": "$2"}}],
 "contexts": [{"name": "$2", "context": {"cluster": "$3", "user": "$2"}}]}
JSON
}
make dev dev dev; make prod prod prod; make dev-same dev same; make prod-same prod same
cat > "$room/see.py" <<'PY'
import sys
from kubernetes import client, config
for names in sys.argv[1:]:
    configuration = client.Configuration()
    config.load_kube_config(names, client_configuration=configuration)
    print(configuration.host)
PY
cat > "$room/see.mjs" <<'JS'
import { KubeConfig } from "@kubernetes/client-node";
const config = new KubeConfig();
config.loadFromDefault();
console.log(config.getCurrentCluster().server);
JS
python=$("$room/venv/bin/python" "$room/see.py" "$room/dev:$room/prod" "$room/dev-same:$room/prod-same" 2>/dev/null | xargs)
node=$(KUBECONFIG="$room/dev:$room/prod" node "$room/see.mjs" 2>/dev/null)
echo "KUBECONFIG=dev:prod: client-node 1.4.0 asks $node; kubernetes 37.0.2 asks, and with clusters of one name: $python"
[ "$node $python" = 'http://prod.example http://prod.example http://dev.example' ]
