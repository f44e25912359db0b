#!/usr/bin/env bash
# bazelisk 1.28.1 (npm @bazel/bazelisk) reads lines of .bazeliskrc that begin with # as comments, and a # behind a value, or
# quotation marks around it, as parts of the value: a pinned version that is commented, or quoted as a shell would have it,
# is no version. The file looks like .bazelrc and like a shell's variables, and follows the rules of neither.
set -euo pipefail
room=$(mktemp -d); trap 'rm -rf "$room"' EXIT
npm install --silent --no-audit --no-fund --prefix "$room" @bazel/bazelisk@1.28.1 > /dev/null
mkdir "$room/ws" && touch "$room/ws/WORKSPACE"
ask() {
    printf '# a comment\n%s\n' "$1" > "$room/ws/.bazeliskrc"
    cd "$room/ws" && env -i PATH="$PATH" HOME="$room" BAZELISK_HOME="$room/home" BAZELISK_BASE_URL=http://127.0.0.1:9 \
        node "$room/node_modules/@bazel/bazelisk/bazelisk.js" --version 2>&1 | sed 's/.*invalid version/invalid version/' || true
}
commented=$(ask 'USE_BAZEL_VERSION=7.7.7 # pinned') quoted=$(ask 'USE_BAZEL_VERSION="7.7.7"')
echo "bazelisk 1.28.1, a comment behind the version: $commented; quotation marks: $quoted"
[ "$commented" = "invalid version '7.7.7 # pinned'" ] && [ "$quoted" = "invalid version '\"7.7.7\"'" ]
