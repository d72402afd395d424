package daemon

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"google.golang.org/grpc/codes"

	"github.com/laminafs/lamina/internal/store"
)

func scrape(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func TestMetricsAreWhatPrometheusReads(t *testing.T) {
	st := store.Status{Mounts: 2, Links: 3, Shared: 100, Blobs: []store.BlobStatus{{Blob: store.Blob{Key: store.Key{Profile: `a"\` + "\n"}, Size: 7}}}}
	m := NewMetrics(`v"1`, func(context.Context) (store.Status, error) { return st, nil })
	m.begin("Stat")
	m.end("Stat", codes.NotFound, 3*time.Millisecond)
	m.begin("Stat")
	m.end("Stat", codes.OK, time.Hour)
	m.begin("Commit")
	m.Observe(store.Event{Kind: store.Published, Bytes: 10})
	m.Applied("converted", 5)
	addr, stop, err := ServeHTTP("127.0.0.1:0", m.Handler(false))
	if err != nil {
		t.Fatal(err)
	}
	_, text := scrape(t, "http://"+addr.String()+"/metrics")
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	h := families["lamina_request_seconds"].GetMetric()
	if len(h) != 1 || h[0].GetHistogram().GetSampleCount() != 2 || h[0].GetHistogram().GetSampleSum() != 3600.003 {
		t.Errorf("histogram %v", h)
	}
	for _, b := range h[0].GetHistogram().GetBucket() {
		if want := map[bool]uint64{true: 1, false: 0}[b.GetUpperBound() >= .005]; b.GetUpperBound() <= 300 && b.GetCumulativeCount() != want {
			t.Errorf("bucket %v: %d", b.GetUpperBound(), b.GetCumulativeCount())
		}
	}
	for _, want := range []string{
		`lamina_requests_total{code="NotFound",method="Stat"} 1`, `lamina_requests_in_flight{method="Commit"} 1`,
		`lamina_requests_in_flight{method="Stat"} 0`, `lamina_store_events_total{kind="published"} 1`,
		`lamina_store_event_bytes_total{kind="published"} 10`, `lamina_layer_bytes_total{how="converted"} 5`,
		"lamina_store_mounts 2", "lamina_store_shared_bytes 100", "lamina_store_readable 1", `lamina_store_bytes{profile="a\"\\\n"} 7`, "process_resident_memory_bytes ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if code, _ := scrape(t, "http://"+addr.String()+"/debug/pprof/"); code != http.StatusNotFound {
		t.Error("profiles that nobody asked for:", code)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestMetricsOfAStoreThatCannotBeRead(t *testing.T) {
	m := NewMetrics("", func(context.Context) (store.Status, error) { return store.Status{}, errors.New("no") })
	addr, stop, err := ServeHTTP("127.0.0.1:0", m.Handler(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, text := scrape(t, "http://"+addr.String()+"/metrics"); !strings.Contains(text, "lamina_store_readable 0") || strings.Contains(text, "lamina_store_mounts") {
		t.Error(text)
	}
	if code, text := scrape(t, "http://"+addr.String()+"/debug/pprof/goroutine?debug=1"); code != http.StatusOK || !strings.Contains(text, "goroutine profile") {
		t.Error(code, text)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestNoMetricsCountNothing(t *testing.T) {
	var m *Metrics
	m.begin("x")
	m.end("x", codes.OK, 0)
	m.Observe(store.Event{})
	m.Applied("x", 1)
}
