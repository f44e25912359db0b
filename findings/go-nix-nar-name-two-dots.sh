#!/usr/bin/env bash
# Every mounted ConfigMap or Secret holds an entry `..data`, a name that Nix packs into a NAR as any other. The NAR writer of
# go-nix (v0.0.0-20250101154619-4bdde671e0a1) takes an entry whose name begins with two dots for a step up out of the
# directory, and ends with an error about another one. Its reader takes the very same archive, so a proxy that unpacks and
# packs again fails on what it has just read.
set -euo pipefail
room=$(mktemp -d); trap 'chmod -R u+w "$room"; rm -rf "$room"' EXIT
cd "$room"
export GOFLAGS=-mod=mod GOPATH="$room/go" GOCACHE="$room/cache"
go mod init example.invalid/see >/dev/null 2>&1
go get github.com/nix-community/go-nix@v0.0.0-20250101154619-4bdde671e0a1 >/dev/null 2>&1
cat > main.go <<'GO'
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nix-community/go-nix/pkg/nar"
)

// The NAR of a directory with one empty file, as the format has it: each word its length, itself, and zeros up to 8.
func archive(name string) *bytes.Buffer {
	made := &bytes.Buffer{}
	for _, word := range []string{"nix-archive-1", "(", "type", "directory", "entry", "(", "name", name, "node",
		"(", "type", "regular", "contents", "", ")", ")", ")"} {
		binary.Write(made, binary.LittleEndian, uint64(len(word)))
		made.WriteString(word + strings.Repeat("\x00", (8-len(word)%8)%8))
	}
	return made
}

func main() {
	for _, name := range []string{".data", "..data"} {
		place, _ := os.MkdirTemp(".", "tree")
		os.WriteFile(filepath.Join(place, name), nil, 0o644)
		written := &bytes.Buffer{}
		failed := nar.DumpPath(written, place)
		want := archive(name)
		same := bytes.Equal(written.Bytes(), want.Bytes())
		read := "nothing"
		if reader, err := nar.NewReader(want); err == nil {
			for {
				header, err := reader.Next()
				if err != nil {
					break
				}
				read = header.Path
			}
		}
		if failed != nil {
			failed = fmt.Errorf("%.26s", failed)
		}
		fmt.Println(name, "read as", read+", written:", same, failed)
	}
}
GO
seen=$(go run . 2>/dev/null)
printf 'go-nix, a directory with one file:\n%s\n' "$seen"
[ "$seen" = "$(printf '.data read as /.data, written: true <nil>\n..data read as /..data, written: false additional header detected')" ]
