#!/usr/bin/env bash
# bazelisk 1.28.1 (npm @bazel/bazelisk) takes a .bazelversion whose first line is empty for none, although the second names a
# version: it goes on to its fallback, which is the latest Bazel by default. A tool that reads the first line that is not
# empty, as most readers of such files do, so names another Bazel than the one that runs.
set -euo pipefail
room=$(mktemp -d); trap 'rm -rf "$room"' EXIT
npm install --silent --no-audit --no-fund --prefix "$room" @bazel/bazelisk@1.28.1 > /dev/null
mkdir "$room/ws" && touch "$room/ws/WORKSPACE" && printf '\n7.7.7\n' > "$room/ws/.bazelversion"
seen=$(cd "$room/ws" && env -i PATH="$PATH" HOME="$room" BAZELISK_HOME="$room/home" BAZELISK_BASE_URL=http://127.0.0.1:9 \
    USE_BAZEL_FALLBACK_VERSION=error:9.9.9 node "$room/node_modules/@bazel/bazelisk/bazelisk.js" --version 2>&1 || true)
echo "bazelisk 1.28.1, .bazelversion of an empty line and 7.7.7: ${seen#* * }"
[ "${seen#* * }" = 'could not get Bazel version: not allowed to use fallback version "9.9.9"' ]
