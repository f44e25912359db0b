#!/usr/bin/env bash
# In a netrc a # inside a password is a character like any other: curl, and so Nix, sends it, and Python's netrc reads it.
# Two npm packages, netrc 0.1.4 and netrc-parser 3.1.6, take it for the beginning of a comment in the middle of the word and
# hand back what stands before it, so that the same file logs in with Nix and is refused from Node. netrc-parser does so only
# where the entry stands on one line: spread over three, the very same password is read whole.
set -euo pipefail
room=$(mktemp -d); trap 'rm -rf "$room"' EXIT
npm install --silent --no-audit --no-fund --prefix "$room" netrc@0.1.4 netrc-parser@3.1.6 > /dev/null
printf 'machine cache.example login dev password abc#def\n' > "$room/one"
printf 'machine cache.example\n  login dev\n  password abc#def\n' > "$room/three"
chmod 600 "$room/one" "$room/three"
cat > "$room/see.js" <<'JS'
const file = process.argv[2];
const { Netrc } = require("netrc-parser");
const parser = new Netrc(file);
parser.loadSync();
console.log("netrc", require("netrc")(file)["cache.example"].password, "netrc-parser", parser.machines["cache.example"].password);
JS
read_python() { python3 -c 'import netrc, sys; print("Python", netrc.netrc(sys.argv[1]).hosts["cache.example"][2])' "$room/$1"; }
one="$(read_python one) $(node "$room/see.js" "$room/one")" three="$(read_python three) $(node "$room/see.js" "$room/three")"
echo "password abc#def on one line: $one; on three: $three"
[ "$one" = 'Python abc#def netrc abc netrc-parser abc' ] && [ "$three" = 'Python abc#def netrc abc netrc-parser abc#def' ]
