// Command runtime-node serves a kubelet's port-forward endpoint the way container
// runtimes do.
//
// The protocol is k8s.io/cri-streaming, the library that containerd and CRI-O serve
// port-forward with. KWOK serves it too, but differs from them in two things that a
// forwarder depends on: it leaves the stream open after the pod closed its side, and
// its idle time is fixed at one hour. This program ends a forward as they do, a second
// after either side ended, and takes its idle time from its configuration.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
)

// config is read again for each connection, so that a change needs no restart.
type config struct {
	// IdleSeconds after which a connection without messages is closed.
	IdleSeconds float64 `json:"idleSeconds"`
	// Targets maps "PORT" or "NAMESPACE/POD:PORT" (which wins) to "HOST:PORT".
	Targets map[string]string `json:"targets"`
}

func readConfig(path string) (config, error) {
	var read config
	text, err := os.ReadFile(path)
	if err != nil {
		return read, err
	}
	return read, json.Unmarshal(text, &read)
}

// forwarder dials the configured target of one request's pod.
type forwarder struct{ config config }

// lingerAfterEnd is what containerd and CRI-O leave the other direction.
const lingerAfterEnd = time.Second

// PortForward copies between stream and the target of (pod, port) until either ends.
func (f forwarder) PortForward(ctx context.Context, pod string, _ string, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	target, found := f.config.Targets[fmt.Sprintf("%s:%d", pod, port)]
	if !found {
		target, found = f.config.Targets[fmt.Sprint(port)]
	}
	if !found {
		return fmt.Errorf("no target is configured for port %d", port)
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", target)
	if err != nil {
		return fmt.Errorf("failed to connect to localhost:%d: %w", port, err)
	}
	defer conn.Close()

	ended := make(chan error, 2)
	pipe := func(to io.Writer, from io.Reader) {
		_, err := io.Copy(to, from)
		ended <- err
	}
	go pipe(stream, conn)
	go pipe(conn, stream)

	first := <-ended
	select {
	case second := <-ended:
		if first == nil {
			first = second
		}
	case <-time.After(lingerAfterEnd):
	}
	return first
}

func main() {
	listen := flag.String("listen", "", "address to serve on, HOST:PORT")
	certificate := flag.String("tls-cert-file", "", "serving certificate")
	key := flag.String("tls-private-key-file", "", "its key")
	configPath := flag.String("config", "", "configuration file, JSON")
	flag.Parse()

	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	mux.HandleFunc("/portForward/", func(w http.ResponseWriter, r *http.Request) {
		pod := strings.Split(strings.TrimPrefix(r.URL.Path, "/portForward/"), "/")
		if len(pod) < 2 {
			http.NotFound(w, r)
			return
		}
		current, err := readConfig(*configPath)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		options, err := portforward.NewV4Options(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		idle := time.Duration(current.IdleSeconds * float64(time.Second))
		portforward.ServePortForward(w, r, forwarder{current}, pod[0]+"/"+pod[1], "", options,
			idle, 30*time.Second, portforward.SupportedProtocols)
	})
	log.Fatal(http.ListenAndServeTLS(*listen, *certificate, *key, mux))
}
