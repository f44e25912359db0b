// Command kube-apiserver is the unmodified Kubernetes API server.
//
// k8s.io/kubernetes cannot be installed with "go install pkg@version", because its
// go.mod replaces its own libraries by directories. This module pins their published
// releases instead (see go.mod) and calls the same entry point.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	os.Exit(cli.Run(app.NewAPIServerCommand()))
}
