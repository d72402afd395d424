package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc/codes"

	"github.com/laminafs/lamina/internal/store"
)

// Metrics is what the daemon counts. A nil Metrics counts nothing.
type Metrics struct {
	registry *prometheus.Registry

	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	flight   *prometheus.GaugeVec
	events   *prometheus.CounterVec
	bytes    *prometheus.CounterVec
}

// NewMetrics returns counters at zero. status, called when they are read, tells about the store.
func NewMetrics(version string, status func(context.Context) (store.Status, error)) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lamina_requests_total", Help: "gRPC requests that ended, by method and code.",
		}, []string{"method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lamina_request_seconds", Help: "How long gRPC requests took.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"method"}),
		flight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "lamina_requests_in_flight", Help: "gRPC requests under way.",
		}, []string{"method"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lamina_store_events_total", Help: "What happened to the store, by kind.",
		}, []string{"kind"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lamina_store_event_bytes_total", Help: "Bytes of the blobs that events of the store are about, by kind.",
		}, []string{"kind"}),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "lamina_build_info", Help: "1, with the version.", ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	m.registry.MustRegister(m.requests, m.seconds, m.flight, m.events, m.bytes, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if status != nil {
		m.registry.MustRegister(&storeCollector{status: status})
	}
	return m
}

// method is the last element of "/package.Service/Method".
func method(full string) string { return path.Base(full) }

func (m *Metrics) begin(full string) {
	if m != nil {
		m.flight.WithLabelValues(method(full)).Inc()
	}
}

func (m *Metrics) end(full string, code codes.Code, took time.Duration) {
	if m == nil {
		return
	}
	name := method(full)
	m.flight.WithLabelValues(name).Dec()
	m.requests.WithLabelValues(name, code.String()).Inc()
	m.seconds.WithLabelValues(name).Observe(took.Seconds())
}

// Observe counts an event of the store.
func (m *Metrics) Observe(e store.Event) {
	if m == nil {
		return
	}
	kind := eventName(e.Kind)
	m.events.WithLabelValues(kind).Inc()
	m.bytes.WithLabelValues(kind).Add(float64(max(0, e.Bytes)))
}

// eventName is the word for a kind of event, in metrics and in the log.
func eventName(k store.EventKind) string {
	switch k {
	case store.Published:
		return "published"
	case store.Healed:
		return "healed"
	case store.Damaged:
		return "damaged"
	case store.Mounted:
		return "mounted"
	case store.Unmounted:
		return "unmounted"
	case store.Collected:
		return "collected"
	case store.Removed:
		return "removed"
	}
	return "other"
}

// The gauges of the store.
var (
	blobsDesc   = prometheus.NewDesc("lamina_store_blobs", "Blobs in the store.", []string{"profile", "state"}, nil)
	sizeDesc    = prometheus.NewDesc("lamina_store_bytes", "Bytes of the blobs in the store.", []string{"profile"}, nil)
	mountsDesc  = prometheus.NewDesc("lamina_store_mounts", "Blobs that are mounted.", nil, nil)
	linksDesc   = prometheus.NewDesc("lamina_store_links", "Snapshots that are a blob.", nil, nil)
	readFailure = prometheus.NewDesc("lamina_store_unreadable", "1: the store could not be read.", nil, nil)
)

// storeCollector reads the store for one scrape, within readTime.
type storeCollector struct {
	status func(context.Context) (store.Status, error)
}

const readTime = 5 * time.Second

// Describe implements prometheus.Collector.
func (s *storeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{blobsDesc, sizeDesc, mountsDesc, linksDesc, readFailure} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *storeCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readTime)
	defer cancel()
	st, err := s.status(ctx)
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if err != nil {
		gauge(readFailure, 1)
		return
	}
	gauge(readFailure, 0)
	type state struct{ profile, state string }
	blobs, bytes, mounts, links := map[state]int{}, map[string]int64{}, 0, 0
	for _, b := range st.Blobs {
		s := state{b.Key.Profile, "whole"}
		if b.Damaged {
			s.state = "damaged"
		}
		blobs[s]++
		bytes[b.Key.Profile] += b.Bytes()
		links += len(b.Links)
		if b.Mounted {
			mounts++
		}
	}
	for s, n := range blobs {
		gauge(blobsDesc, float64(n), s.profile, s.state)
	}
	for p, n := range bytes {
		gauge(sizeDesc, float64(n), p)
	}
	gauge(mountsDesc, float64(mounts))
	gauge(linksDesc, float64(links))
}

// Handler answers /metrics, and /debug/pprof/ if profiles is set.
func (m *Metrics) Handler(profiles bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2}))
	if profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// headerTime is how long a client of the metrics may take to ask.
const headerTime = 5 * time.Second

// ServeHTTP answers on host:port or unix:///path until the returned function is called.
func ServeHTTP(address string, h http.Handler) (net.Addr, func() error, error) {
	network, addr := "tcp", address
	if p, ok := strings.CutPrefix(address, "unix://"); ok {
		network, addr = "unix", p
	}
	var l net.Listener
	var err error
	if network == "unix" {
		l, err = bind(addr)
	} else {
		l, err = net.Listen(network, addr)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("daemon: metrics: %w", err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: headerTime, IdleTimeout: time.Minute}
	var wg sync.WaitGroup
	var end error
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
