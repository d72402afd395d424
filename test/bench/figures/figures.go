// Package figures is what the benchmarks have in common: medians, the machine, the two files of a report.
package figures

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

// Median is 0 for no values.
func Median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// Machine says where a benchmark ran that worked in a directory: processors, kernel, file system, Go.
func Machine(work string) string {
	model, kernel := "?", "?"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for l := range strings.Lines(string(b)) {
			if k, v, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == "model name" {
				model = strings.TrimSpace(v)
				break
			}
		}
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = strings.TrimSpace(string(b))
	}
	fs, _ := exec.Command("stat", "-f", "-c", "%T", work).Output()
	return fmt.Sprintf("%d x %s, Linux %s, %s, %s", runtime.NumCPU(), model, kernel, strings.TrimSpace(string(fs)), runtime.Version())
}

// Write prints tables, and puts them into PREFIX.md and every single value into PREFIX.json.
func Write(prefix, tables string, values any) error {
	fmt.Print(tables)
	if err := os.WriteFile(prefix+".md", []byte(tables), 0o644); err != nil {
		return err
	}
	b, err := json.MarshalIndent(values, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(prefix+".json", append(b, '\n'), 0o644)
}
