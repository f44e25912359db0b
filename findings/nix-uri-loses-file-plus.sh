#!/usr/bin/env bash
# A flake input `file+https://…/x.tar.gz` is the file itself; `https://…/x.tar.gz` is what is in it, unpacked. nix-uri 0.2.0
# (crate; what flake-edit rewrites inputs with) reads the first as a file and prints it as the second, which it then reads as
# a tarball itself. The input after an edit is another thing, with another narHash, than the one before.
set -euo pipefail
room=$(mktemp -d); trap 'rm -rf "$room"' EXIT
mkdir -p "$room/see/src"
cat > "$room/see/Cargo.toml" <<'TOML'
[package]
name = "see"
version = "0.0.0"
edition = "2021"
[dependencies]
nix-uri = "=0.2.0"
[profile.dev]
debug = false
TOML
cat > "$room/see/src/main.rs" <<'RS'
use nix_uri::FlakeRef;
fn kind(of: &FlakeRef) -> &'static str {
    let all = format!("{of:?}");
    if all.contains("res_type: File") { "file" } else if all.contains("res_type: Tarball") { "tarball" } else { "other" }
}
fn main() {
    let first: FlakeRef = "file+https://e.example/x.tar.gz".parse().unwrap();
    let printed = first.to_string();
    let second: FlakeRef = printed.parse().unwrap();
    println!("{}, printed as {printed}, {}", kind(&first), kind(&second));
}
RS
cd "$room/see" && CARGO_TARGET_DIR="$room/target" cargo build --quiet 2>/dev/null
seen=$("$room/target/debug/see")
echo "nix-uri 0.2.0, file+https://e.example/x.tar.gz: $seen"
[ "$seen" = 'file, printed as https://e.example/x.tar.gz, tarball' ]
