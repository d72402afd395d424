package daemon

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"google.golang.org/grpc/codes"

	"github.com/laminafs/lamina/internal/store"
)

// Metrics is what the daemon counts, for Prometheus. A nil Metrics counts nothing.
type Metrics struct {
	registry *prometheus.Registry

	requests *prometheus.CounterVec
	flight   *prometheus.GaugeVec
	seconds  *prometheus.HistogramVec
	events   *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	layers   *prometheus.CounterVec
	read     *prometheus.CounterVec
}

// buckets are the upper bounds of how long requests take, in seconds: from a Stat to the layer of a large image.
var buckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}

// NewMetrics returns counters at zero. status, called when they are read, tells about the store; it may be nil.
func NewMetrics(version string, status func(context.Context) (store.Status, error)) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: counter("lamina_requests_total", "gRPC requests that ended, by method and code.", "method", "code"),
		flight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "lamina_requests_in_flight", Help: "gRPC requests under way.",
		}, []string{"method"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lamina_request_seconds", Help: "How long gRPC requests took.", Buckets: buckets,
		}, []string{"method"}),
		events: counter("lamina_store_events_total", "What happened to the store.", "kind"),
		bytes:  counter("lamina_store_event_bytes_total", "Bytes of the blobs that events of the store are about.", "kind"),
		layers: counter("lamina_layers_total", "Layers that the differ applied or made.", "how"),
		read:   counter("lamina_layer_bytes_total", "Bytes of these layers as they are in the content store.", "how"),
	}
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "lamina_build_info", Help: "1, with the version."}, []string{"version"})
	info.WithLabelValues(strings.ToValidUTF8(version, "?")).Set(1)
	m.registry.MustRegister(info, m.requests, m.flight, m.seconds, m.events, m.bytes, m.layers, m.read,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if status != nil {
		m.registry.MustRegister(&storeCollector{status})
	}
	return m
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func (m *Metrics) begin(method string) {
	if m == nil {
		return
	}
	m.flight.WithLabelValues(method).Inc()
}

func (m *Metrics) end(method string, code codes.Code, took time.Duration) {
	if m == nil {
		return
	}
	m.flight.WithLabelValues(method).Dec()
	m.requests.WithLabelValues(method, code.String()).Inc()
	m.seconds.WithLabelValues(method).Observe(took.Seconds())
}

// Observe counts an event of the store.
func (m *Metrics) Observe(e store.Event) {
	if m == nil {
		return
	}
	m.events.WithLabelValues(eventName(e.Kind)).Inc()
	m.bytes.WithLabelValues(eventName(e.Kind)).Add(float64(max(0, e.Bytes)))
}

// Applied counts a layer.
func (m *Metrics) Applied(how string, bytes int64) {
	if m == nil {
		return
	}
	m.layers.WithLabelValues(how).Inc()
	m.read.WithLabelValues(how).Add(float64(max(0, bytes)))
}
