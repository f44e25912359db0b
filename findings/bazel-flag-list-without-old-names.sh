#!/usr/bin/env bash
# bazel 2.1.0 (npm @bazel/bazel-linux_x64) takes options under the names that they had once, and its own list of all options,
# `bazel help flags-as-proto`, which has the undocumented ones too, has none of those: --remote_http_cache is --remote_cache. A
# checker of rc files that goes by the list says of a line that works that there is no such option. (Debian's 4.2.3: the same;
# its 7.7.1: --experimental_remote_grpc_log and others.)
set -euo pipefail
room=$(mktemp -d)
bazel=false
trap '"$bazel" --output_user_root="$room/root" shutdown > /dev/null 2>&1 || true; chmod -R u+w "$room"; rm -rf "$room"' EXIT
npm install --silent --no-audit --no-fund --prefix "$room" @bazel/bazel-linux_x64@2.1.0 > /dev/null
bazel=$(find "$room/node_modules" -name 'bazel-*-linux-x86_64' -type f | head -n 1)
mkdir "$room/ws" "$room/home" && touch "$room/ws/WORKSPACE" && cd "$room/ws"
run() { env -i PATH="$PATH" HOME="$room/home" "$bazel" --output_user_root="$room/root" "$@" 2> /dev/null; }
taken=$(run canonicalize-flags --for_command=build -- --remote_http_cache=http://127.0.0.1:1)
run help flags-as-proto | base64 --decode > "$room/list"
listed() { grep --text --quiet "$1" "$room/list" && echo listed || echo "not listed"; }
echo "bazel 2.1.0: --remote_http_cache=URL is taken as ${taken%%=*}=URL; remote_cache is $(listed remote_cache), remote_http_cache is $(listed remote_http_cache)"
[ "$taken" = --remote_cache=http://127.0.0.1:1 ] && [ "$(listed remote_cache), $(listed remote_http_cache)" = "listed, not listed" ]
