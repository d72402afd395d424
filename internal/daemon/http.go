package daemon

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxScrapes is how many clients are answered at once: each reads the store.
const maxScrapes = 4

// Handler answers /metrics, and /debug/pprof/ if profiles is set.
func (m *Metrics) Handler(profiles bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes}))
	if profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// headerTime is how long a client may take to ask.
const headerTime = 5 * time.Second

// ServeHTTP answers on host:port or unix:///path until the returned function is called.
func ServeHTTP(address string, h http.Handler) (net.Addr, func() error, error) {
	var l net.Listener
	var err error
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		l, err = bind(path)
	} else {
		l, err = net.Listen("tcp", address)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("daemon: metrics: %w", err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: headerTime, IdleTimeout: time.Minute}
	var end error
	var wg sync.WaitGroup
	wg.Go(func() { end = server.Serve(l) })
	return l.Addr(), func() error {
		err := server.Close()
		wg.Wait()
		if errors.Is(end, http.ErrServerClosed) {
			end = nil
		}
		return errors.Join(err, end)
	}, nil
}
