package daemon

import (
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/laminafs/lamina/internal/store"
)

// Metrics is what the daemon counts, in the text format of Prometheus. A nil Metrics counts nothing. It is
// written by hand: the client library costs every run of the program, also `lamina version`, more time for
// its initialisation than all that the commands themselves initialise.
type Metrics struct {
	version string
	status  func(context.Context) (store.Status, error)

	mu       sync.Mutex // guards all below
	requests map[[2]string]float64
	seconds  map[string]*histogram
	flight   map[string]float64
	events   map[string]float64
	bytes    map[string]float64
	layers   map[string]float64
	read     map[string]float64
}

// NewMetrics returns counters at zero. status, called when they are read, tells about the store.
func NewMetrics(version string, status func(context.Context) (store.Status, error)) *Metrics {
	return &Metrics{
		version: version, status: status,
		requests: map[[2]string]float64{}, seconds: map[string]*histogram{}, flight: map[string]float64{},
		events: map[string]float64{}, bytes: map[string]float64{}, layers: map[string]float64{}, read: map[string]float64{},
	}
}

// buckets are the upper bounds of how long requests take, in seconds: from a Stat to the layer of a large image.
var buckets = [...]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}

// histogram counts durations by bucket.
type histogram struct {
	counts [len(buckets) + 1]float64
	sum    float64
}

func (m *Metrics) begin(method string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.flight[method]++
}

func (m *Metrics) end(method string, code codes.Code, took time.Duration) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.flight[method]--
	m.requests[[2]string{method, code.String()}]++
	h := m.seconds[method]
	if h == nil {
		h = &histogram{}
		m.seconds[method] = h
	}
	i, _ := slices.BinarySearch(buckets[:], took.Seconds())
	h.counts[i]++
	h.sum += took.Seconds()
}

// Observe counts an event of the store.
func (m *Metrics) Observe(e store.Event) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events[eventName(e.Kind)]++
	m.bytes[eventName(e.Kind)] += float64(max(0, e.Bytes))
}

// Applied counts a layer.
func (m *Metrics) Applied(how string, bytes int64) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.layers[how]++
	m.read[how] += float64(max(0, bytes))
}

// Write prints everything in the text format, version 0.0.4.
func (m *Metrics) Write(ctx context.Context, out io.Writer) error {
	w := &textWriter{}
	w.family("lamina_build_info", "gauge", "1, with the version.")
	w.sample("lamina_build_info", 1, "version", m.version)
	m.writeCounters(w)
	m.writeStore(ctx, w)
	writeProcess(w)
	_, err := out.Write(w.text)
	return err
}

func (m *Metrics) writeCounters(w *textWriter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w.family("lamina_requests_total", "counter", "gRPC requests that ended, by method and code.")
	for _, k := range sortedKeys(m.requests, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		w.sample("lamina_requests_total", m.requests[k], "method", k[0], "code", k[1])
	}
	w.byLabel("lamina_requests_in_flight", "gauge", "gRPC requests under way.", "method", m.flight)
	w.family("lamina_request_seconds", "histogram", "How long gRPC requests took.")
	for _, k := range sorted(m.seconds) {
		w.histogram("lamina_request_seconds", k, m.seconds[k])
	}
	w.byLabel("lamina_store_events_total", "counter", "What happened to the store.", "kind", m.events)
	w.byLabel("lamina_store_event_bytes_total", "counter", "Bytes of the blobs that events of the store are about.", "kind", m.bytes)
	w.byLabel("lamina_layers_total", "counter", "Layers that the differ applied or made.", "how", m.layers)
	w.byLabel("lamina_layer_bytes_total", "counter", "Bytes of these layers as they are in the content store.", "how", m.read)
}

// readTime is how long one scrape may read the store.
const readTime = 5 * time.Second

func (m *Metrics) writeStore(ctx context.Context, w *textWriter) {
	if m.status == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	st, err := m.status(ctx)
	up := 1.0
	if err != nil {
		up = 0
	}
	w.family("lamina_store_readable", "gauge", "0: the store could not be read.")
	w.sample("lamina_store_readable", up)
	if err != nil {
		return
	}
	blobs, bytes := map[string]float64{}, map[string]float64{}
	for _, b := range st.Blobs {
		blobs[b.Key.Profile]++
		bytes[b.Key.Profile] += float64(b.Bytes())
	}
	w.byLabel("lamina_store_blobs", "gauge", "Blobs in the store.", "profile", blobs)
	w.byLabel("lamina_store_bytes", "gauge", "Bytes of the blobs in the store.", "profile", bytes)
	for _, g := range []struct {
		name, help string
		value      float64
	}{
		{"lamina_store_shared_bytes", "Bytes that would be stored again if every snapshot had its own copy.", float64(st.Shared)},
		{"lamina_store_links", "Snapshots that are a blob.", float64(st.Links)},
		{"lamina_store_mounts", "Blobs that are mounted.", float64(st.Mounts)},
		{"lamina_store_damaged_blobs", "Blobs set aside that no pull has made again.", float64(st.Damaged)},
		{"lamina_store_staged", "Unfinished directories.", float64(st.Staged)},
	} {
		w.family(g.name, "gauge", g.help)
		w.sample(g.name, g.value)
	}
}
