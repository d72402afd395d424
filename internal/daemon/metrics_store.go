package daemon

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/laminafs/lamina/internal/store"
)

// readTime is how long one scrape may read the store.
const readTime = 5 * time.Second

// storeCollector reads the store anew for each scrape: other processes change it too.
type storeCollector struct {
	status func(context.Context) (store.Status, error)
}

// Describe implements prometheus.Collector. What it leaves unsaid is checked at each scrape instead.
func (*storeCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (s *storeCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(name, help string, value float64) {
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, value)
	}
	byProfile := func(name, help string, values map[string]float64) {
		desc := prometheus.NewDesc(name, help, []string{"profile"}, nil)
		for profile, v := range values {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, profile)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), readTime)
	defer cancel()
	st, err := s.status(ctx)
	up := 1.0
	if err != nil {
		up = 0
	}
	gauge("lamina_store_readable", "0: the store could not be read.", up)
	if err != nil {
		return
	}
	blobs, bytes := map[string]float64{}, map[string]float64{}
	for _, b := range st.Blobs {
		profile := strings.ToValidUTF8(b.Key.Profile, "?")
		blobs[profile]++
		bytes[profile] += float64(b.Bytes())
	}
	byProfile("lamina_store_blobs", "Blobs in the store.", blobs)
	byProfile("lamina_store_bytes", "Bytes of the blobs in the store.", bytes)
	gauge("lamina_store_shared_bytes", "Bytes that would be stored again if every snapshot had its own copy.", float64(st.Shared))
	gauge("lamina_store_links", "Snapshots that are a blob.", float64(st.Links))
	gauge("lamina_store_mounts", "Blobs that are mounted.", float64(st.Mounts))
	gauge("lamina_store_damaged_blobs", "Blobs set aside that no pull has made again.", float64(st.Damaged))
	gauge("lamina_store_staged", "Unfinished directories.", float64(st.Staged))
}
