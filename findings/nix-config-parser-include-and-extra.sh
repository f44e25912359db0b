#!/usr/bin/env bash
# nix-config-parser 0.2.0 (crate) reads a nix.conf and, without a word, with other results than Nix has. A relative `!include`
# is Nix's way to a file beside the one that names it; the crate looks for it where the process happens to run, finds none,
# and `!` makes that no error: all that it sets is gone. And of two lines `extra-substituters`, which Nix adds up, the last
# one replaces the first. A tool that asks it whether a cache is configured is told no.
set -euo pipefail
room=$(mktemp -d); trap 'rm -rf "$room"' EXIT
mkdir -p "$room/see/src" "$room/etc"
cat > "$room/etc/nix.conf" <<'CONF'
!include custom.conf
extra-substituters = https://a.example
extra-substituters = https://b.example
CONF
echo 'max-jobs = 3' > "$room/etc/custom.conf"
cat > "$room/see/Cargo.toml" <<'TOML'
[package]
name = "see"
version = "0.0.0"
edition = "2021"
[dependencies]
nix-config-parser = "=0.2.0"
TOML
cat > "$room/see/src/main.rs" <<'RS'
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let read = nix_config_parser::NixConfig::parse_file(path.as_ref()).unwrap();
    let all: Vec<_> = read.settings().iter().map(|(name, value)| format!("{name}={value}")).collect();
    println!("{}", all.join(" "));
}
RS
cd "$room/see" && CARGO_TARGET_DIR="$room/target" cargo build --quiet 2>/dev/null
elsewhere=$(cd / && "$room/target/debug/see" "$room/etc/nix.conf")
beside=$(cd "$room/etc" && "$room/target/debug/see" "$room/etc/nix.conf")
echo "nix-config-parser 0.2.0, run elsewhere: $elsewhere; run beside the file: $beside"
[ "$elsewhere" = 'extra-substituters=https://b.example' ] && [ "$beside" = 'max-jobs=3 extra-substituters=https://b.example' ]
