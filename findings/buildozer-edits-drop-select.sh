#!/usr/bin/env bash
# buildozer 8.2.1 (npm @bazel/buildozer), exit code 0 each time. `dict_set` sets one key of a dict: where the value is a
# select(), or a dict joined with another by |, a dict of that one key takes the place of the whole expression. And a list
# command, even a `remove` of what is not there, makes a select() of one condition unconditional. One more key for a target's
# exec_properties takes away those that it had, and the target runs on another pool and under other keys of the cache.
set -euo pipefail
room=$(mktemp -d); trap 'rm -rf "$room"' EXIT
npm install --silent --no-audit --no-fund --prefix "$room" @bazel/buildozer@8.2.1 > /dev/null
touch "$room/WORKSPACE"
ask() {
    printf 'cc_library(name = "a", %s = %s)\n' "$1" "$2" > "$room/BUILD"
    (cd "$room" && node node_modules/@bazel/buildozer/buildozer.js "$3" //:a > /dev/null 2>&1) && tr -d ' \n' < "$room/BUILD"
}
plain=$(ask exec_properties '{"pool": "big"}' 'dict_set exec_properties mem:4g')
select=$(ask exec_properties 'select({"//:x": {"pool": "big"}, "//:y": {}})' 'dict_set exec_properties mem:4g')
joined=$(ask exec_properties '{"pool": "big"} | COMMON' 'dict_set exec_properties mem:4g')
list=$(ask deps 'select({"//:x": ["//:b"]})' 'remove deps //:nothing')
printf 'buildozer 8.2.1\nplain:  %s\nlist:   %s\nunion:  %s\nselect: %s\n' "$plain" "$list" "$joined" "$select"
[ "$plain" = 'cc_library(name="a",exec_properties={"pool":"big","mem":"4g",},)' ] &&
    [ "$select" = 'cc_library(name="a",exec_properties={"mem":"4g"},)' ] &&
    [ "$joined" = 'cc_library(name="a",exec_properties={"mem":"4g"},)' ] &&
    [ "$list" = 'cc_library(name="a",deps=["//:b"],)' ]
