#!/usr/bin/env bash
# ibazel 0.28.0 (npm @bazel/ibazel) calls --bazelrc a startup flag, as Bazel does, and wants it where Bazel does not: behind the
# command. Before it, it is "flag provided but not defined". With its value as a word of its own, which Bazel takes, the flag
# goes before Bazel's command and the file to the targets: Bazel is told to read an rc file with the name of the command.
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
npm install --silent --no-audit --no-fund --prefix "$room" @bazel/ibazel@0.28.0 > /dev/null
mkdir "$room/bin" "$room/ws" && touch "$room/ws/WORKSPACE" "$room/ws/BUILD"
# It stands in for Bazel and writes down what it is called with.
printf '#!/bin/sh\necho "$*" >> "%s/calls"\n' "$room" > "$room/bin/bazel" && chmod +x "$room/bin/bazel"
cd "$room/ws"
# ibazel watches until it is ended: the call of the build is waited for, and then no longer.
run() {
  : > "$room/calls"
  PATH="$room/bin:$PATH" HOME="$room" setsid "$room/node_modules/.bin/ibazel" "$@" > "$room/said" 2>&1 &
  for _ in $(seq 100); do grep -q 'isatty' "$room/calls" && break; kill -0 $! 2> /dev/null || break; sleep 0.2; done
  kill -- -$! 2> /dev/null || true
  wait $! 2> /dev/null || true
}
run --bazelrc=cache.rc build //:a
before=$(head -n 1 "$room/said")
run build --bazelrc=cache.rc //:a
behind=$(grep isatty "$room/calls")
run build --bazelrc cache.rc //:a
apart=$(grep isatty "$room/calls")
echo "ibazel 0.28.0: --bazelrc=cache.rc build //:a     $before"
echo "               build --bazelrc=cache.rc //:a     bazel $behind"
echo "               build --bazelrc cache.rc //:a     bazel $apart"
[[ $before == *"not defined: -bazelrc"* && $behind == "--bazelrc=cache.rc build "* && $apart == "--bazelrc build "*" cache.rc "* ]]
