#!/usr/bin/env bash
# The remote execution API names a message by the hash of its bytes and so demands fields in the order of their numbers. Its
# Command declares output_paths (7) before platform (5) and working_directory (6). protoc's Python and @bufbuild/protobuf write
# by number; betterproto 2.0.0b7 (PyPI) and ts-proto 2.18.0 (npm) in the order of the .proto: valid protobuf, which all read
# alike, and another digest. What a client made with them asks for is never in the cache that other clients fill.
set -euo pipefail
room=$(mktemp -d); trap 'rm -rf "$room"' EXIT
cd "$room"
python3 -m venv venv && venv/bin/pip install --quiet grpcio-tools==1.85.1 'betterproto[compiler]==2.0.0b7'
npm install --silent --no-audit --no-fund --prefix . ts-proto@2.18.0 @bufbuild/protobuf@2.17.0 \
    @bufbuild/protoc-gen-es@2.13.0 esbuild@0.25.0 > /dev/null
mkdir plain better && cat > order.proto <<'PROTO'
syntax = "proto3";
package order;
message Command {
  repeated string arguments = 1;
  repeated string output_paths = 7;
  string working_directory = 6;
}
PROTO
PATH="$room/venv/bin:$room/node_modules/.bin:$PATH" venv/bin/python -m grpc_tools.protoc -I. --python_out=plain \
    --python_betterproto_out=better --ts_proto_out=. --es_out=. --es_opt=target=js order.proto 2>/dev/null
node_modules/.bin/esbuild --log-level=error --format=esm --outfile=order.mjs order.ts
mv order_pb.js order_pb.mjs
cat > see.py <<'PY'
import sys
sys.path[:0] = ["plain", "better"]
import order_pb2
from order import Command
said = {"arguments": ["cc"], "output_paths": ["o"], "working_directory": "w"}
print("protoc", order_pb2.Command(**said).SerializeToString().hex(), "betterproto", bytes(Command(**said)).hex())
PY
cat > see.mjs <<'JS'
import { create, toBinary } from "@bufbuild/protobuf";
import { Command } from "./order.mjs";
import { CommandSchema } from "./order_pb.mjs";
const said = { arguments: ["cc"], outputPaths: ["o"], workingDirectory: "w" };
const hex = (bytes) => Buffer.from(bytes).toString("hex");
console.log("bufbuild", hex(toBinary(CommandSchema, create(CommandSchema, said))), "ts-proto", hex(Command.encode(Command.create(said)).finish()));
JS
seen="$(venv/bin/python see.py) $(node see.mjs)"
echo "one Command: $seen"
[ "$seen" = 'protoc 0a0263633201773a016f betterproto 0a0263633a016f320177 bufbuild 0a0263633201773a016f ts-proto 0a0263633a016f320177' ]
