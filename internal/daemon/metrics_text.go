package daemon

import (
	"cmp"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// textWriter writes the text format of Prometheus, version 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
type textWriter struct{ text []byte }

func (w *textWriter) family(name, kind, help string) {
	w.text = append(w.text, "# HELP "+name+" "+help+"\n# TYPE "+name+" "+kind+"\n"...)
}

var labelEscaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// sample is one value; labels are names and values in turn.
func (w *textWriter) sample(name string, value float64, labels ...string) {
	w.text = append(w.text, name...)
	for i := 0; i+1 < len(labels); i += 2 {
		sep := ","
		if i == 0 {
			sep = "{"
		}
		w.text = append(w.text, sep+labels[i]+`="`+labelEscaper.Replace(strings.ToValidUTF8(labels[i+1], "?"))+`"`...)
	}
	if len(labels) > 0 {
		w.text = append(w.text, '}')
	}
	w.text = append(w.text, ' ')
	w.text = strconv.AppendFloat(w.text, value, 'g', -1, 64)
	w.text = append(w.text, '\n')
}

// byLabel is a family whose samples differ in one label.
func (w *textWriter) byLabel(name, kind, help, label string, values map[string]float64) {
	w.family(name, kind, help)
	for _, k := range sorted(values) {
		w.sample(name, values[k], label, k)
	}
}

// histogram is the samples of one method.
func (w *textWriter) histogram(name, method string, h *histogram) {
	total := 0.0
	for i, n := range h.counts {
		total += n
		bound := "+Inf"
		if i < len(buckets) {
			bound = strconv.FormatFloat(buckets[i], 'g', -1, 64)
		}
		w.sample(name+"_bucket", total, "method", method, "le", bound)
	}
	w.sample(name+"_sum", h.sum, "method", method)
	w.sample(name+"_count", total, "method", method)
}

func sorted[V any](m map[string]V) []string { return sortedKeys(m, cmp.Compare[string]) }

func sortedKeys[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	return slices.SortedFunc(maps.Keys(m), compare)
}

// started is when the process was, but for its initialisation.
var started = time.Now()

// writeProcess is what every process tells, under the names that the libraries of Prometheus use.
func writeProcess(w *textWriter) {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	values := []struct {
		name, kind, help string
		value            float64
	}{
		{"go_goroutines", "gauge", "Goroutines.", float64(runtime.NumGoroutine())},
		{"go_memstats_heap_inuse_bytes", "gauge", "Heap in use.", float64(mem.HeapInuse)},
		{"go_memstats_sys_bytes", "gauge", "Memory from the system.", float64(mem.Sys)},
		{"process_start_time_seconds", "gauge", "Start of the process since the epoch.", float64(started.UnixMilli()) / 1000},
	}
	for _, v := range append(values, processValues()...) {
		w.family(v.name, v.kind, v.help)
		w.sample(v.name, v.value)
	}
}

// processValues are those that the kernel knows; what it does not tell is left out.
func processValues() (values []struct {
	name, kind, help string
	value            float64
}) {
	add := func(name, kind, help string, value float64) {
		values = append(values, struct {
			name, kind, help string
			value            float64
		}{name, kind, help, value})
	}
	var ru unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &ru) == nil {
		add("process_cpu_seconds_total", "counter", "User and system time.", time.Duration(ru.Utime.Nano()+ru.Stime.Nano()).Seconds())
	}
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		if f := strings.Fields(string(b)); len(f) > 1 {
			if n, err := strconv.ParseUint(f[1], 10, 64); err == nil {
				add("process_resident_memory_bytes", "gauge", "Resident memory.", float64(n)*float64(os.Getpagesize()))
			}
		}
	}
	if d, err := os.ReadDir("/proc/self/fd"); err == nil {
		add("process_open_fds", "gauge", "Open descriptors.", float64(len(d)))
	}
	return values
}
