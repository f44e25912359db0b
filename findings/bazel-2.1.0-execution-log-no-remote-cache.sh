#!/usr/bin/env bash
# bazel 2.1.0 (npm @bazel/bazel-linux_x64) writes into its execution log whether a spawn may be cached and whether it may be executed
# remotely, but not whether it may be cached remotely: an action tagged `no-remote-cache` has there what one without a tag has, and
# one tagged `no-remote`, which no remote cache is asked for either, is "cacheable". Who counts what a remote cache should have
# answered from this log counts these as misses. (4.2.3 has a field of its own for it, `remoteCacheable`.)
set -euo pipefail
room=$(mktemp -d)
bazel=false
trap '"$bazel" --output_user_root="$room/root" shutdown > /dev/null 2>&1 || true; chmod -R u+w "$room"; rm -rf "$room"' EXIT
npm install --silent --no-audit --no-fund --prefix "$room" @bazel/bazel-linux_x64@2.1.0 > /dev/null
bazel=$(find "$room/node_modules" -name 'bazel-*-linux-x86_64' -type f | head -n 1)
mkdir "$room/ws" "$room/home" && touch "$room/ws/WORKSPACE" && cd "$room/ws"
for tag in no-remote-cache no-remote no-cache manual-of-none; do
  echo "genrule(name = '$tag', outs = ['$tag.txt'], cmd = 'echo $tag > \$@', tags = ['$tag'])" >> BUILD
done
env -i PATH="$PATH" HOME="$room/home" "$bazel" --output_user_root="$room/root" build --spawn_strategy=local \
  --execution_log_json_file="$room/log" //:all 2> /dev/null
python3 - "$room/log" << 'END'
import json, sys
text, seen = open(sys.argv[1]).read().strip(), {}
while text:
    spawn, end = json.JSONDecoder().raw_decode(text)
    text = text[end:].strip()
    name = spawn["listedOutputs"][0].split("/")[-1].removesuffix(".txt")
    seen[name] = {key: value for key, value in spawn.items() if key in ("cacheable", "remotable", "remoteCacheable")}
for name, fields in seen.items():
    print(f"bazel 2.1.0, tags = ['{name}']: {fields}")
plain = {"remotable": True, "cacheable": True}
assert seen["no-remote-cache"] == seen["manual-of-none"] == plain and seen["no-remote"] == {**plain, "remotable": False}
END
