#!/usr/bin/env bash
# Nix passes over a field of a narinfo that it does not know, so that a cache may say more than old clients read. go-nix
# (v0.0.0-20250101154619-4bdde671e0a1), which several caches and mirrors are built on, refuses the whole document.
set -euo pipefail
room=$(mktemp -d); trap 'chmod -R u+w "$room"; rm -rf "$room"' EXIT
cd "$room"
export GOFLAGS=-mod=mod GOPATH="$room/go" GOCACHE="$room/cache"
go mod init example.invalid/see >/dev/null 2>&1
go get github.com/nix-community/go-nix@v0.0.0-20250101154619-4bdde671e0a1 >/dev/null 2>&1
cat > main.go <<'GO'
package main

import (
	"fmt"
	"strings"

	"github.com/nix-community/go-nix/pkg/narinfo"
)

const known = "StorePath: /nix/store/ahgq43xbag538xns9db82sb0a2nax7a8-gfattach-probe-v1\n" +
	"URL: nar/x.nar.xz\nCompression: xz\n" +
	"NarHash: sha256:1b4sb93wp679q4zx9k1ignby1yna3z7c4c2ri3wphylbc2dwsys0\nNarSize: 136\nReferences: \n"

func main() {
	for _, more := range []string{"", "Uploaded: 2026-11-30\n"} {
		_, err := narinfo.Parse(strings.NewReader(known + more))
		fmt.Println(more == "", err)
	}
}
GO
seen=$(go run . 2>/dev/null)
printf 'go-nix, only known fields, error:\n%s\n' "$seen"
[ "$seen" = "$(printf 'true <nil>\nfalse unknown key Uploaded')" ]
