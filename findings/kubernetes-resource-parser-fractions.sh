#!/usr/bin/env bash
# kubernetes-resource-parser 0.1.0 (npm) answers for quantities that Kubernetes itself writes and takes, and answers wrongly:
# a fraction in front of a unit is cut off with all that follows (1.5Gi is 1 byte, 0.5Gi is none), an exponent too, and a CPU
# in nanocores, as the metrics API always gives it, counts as that many cores. No error, only numbers off by a billion.
set -euo pipefail
room=$(mktemp -d); trap 'rm -rf "$room"' EXIT
npm install --silent --no-audit --no-fund --prefix "$room" kubernetes-resource-parser@0.1.0 > /dev/null
cat > "$room/see.js" <<'JS'
const { cpuParser, memoryParser } = require("kubernetes-resource-parser");
const memory = ["1Gi", "1.5Gi", "0.5Gi", "1e9"].map((each) => `${each}=${memoryParser(each)}`);
const cpu = ["250m", "250000000n", "2k"].map((each) => `${each}=${cpuParser(each)}`);
console.log("memory", ...memory, "cpu", ...cpu);
JS
seen=$(node "$room/see.js")
echo "kubernetes-resource-parser 0.1.0: $seen"
[ "$seen" = 'memory 1Gi=1073741824 1.5Gi=1 0.5Gi=0 1e9=1 cpu 250m=0.25 250000000n=250000000 2k=2' ]
