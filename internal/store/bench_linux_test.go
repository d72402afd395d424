package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/laminafs/lamina/internal/oracle"
)

// filled returns the root of a store with n blobs, each linked once. Its blobs are hard links to one file, and
// recorded in one transaction, so that making it is quick.
func filled(b *testing.B, n int) string {
	b.Helper()
	root := filepath.Join(oracle.Scratch(b), fmt.Sprintf("store-%d", n))
	s := must(Open(b.Context(), Config{Root: root}))(b)
	image := imageOf(b, "x")
	one := filepath.Join(s.staging(), "one")
	check(b, os.WriteFile(one, image, 0o600))
	check(b, s.Update(b.Context(), func(_ context.Context, tx *Tx) error {
		for i := range n {
			k := keyOf(fmt.Sprint("fill ", i))
			if err := os.MkdirAll(filepath.Dir(s.image(k)), 0o700); err != nil {
				return err
			}
			if err := os.Link(one, s.image(k)); err != nil {
				return err
			}
			if _, err := tx.PutBlob(Blob{Key: k, Size: int64(len(image))}); err != nil {
				return err
			}
			if err := tx.Link(fmt.Sprint("pin ", i), k); err != nil {
				return err
			}
		}
		return nil
	}))
	check(b, s.Close())
	return root
}

// The cost of each operation with 10, 1,000 and 10,000 blobs in the store.
func BenchmarkStore(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		root := filled(b, n)
		b.Run(fmt.Sprintf("Open/%d", n), func(b *testing.B) {
			cpu(b, func() { check(b, must(Open(b.Context(), Config{Root: root}))(b).Close()) })
		})
		s := must(Open(b.Context(), Config{Root: root}))(b)
		b.Run(fmt.Sprintf("View/%d", n), func(b *testing.B) {
			cpu(b, func() {
				_, err := lookup(b, s, keyOf("fill 3"))
				check(b, err)
			})
		})
		i := 0
		b.Run(fmt.Sprintf("Update/%d", n), func(b *testing.B) {
			cpu(b, func() {
				i++
				update(b, s, func(_ context.Context, tx *Tx) error { return tx.Link("bench", keyOf(fmt.Sprint("fill ", i%n))) })
			})
		})
		image := imageOf(b, "y")
		b.Run(fmt.Sprintf("Publish/%d", n), func(b *testing.B) {
			cpu(b, func() {
				i++
				st := must(s.Stage(b.Context()))(b)
				must(st.File().Write(image))(b)
				must(st.Publish(b.Context(), keyOf(fmt.Sprint("bench ", i)), ""))(b)
			})
		})
		b.Run(fmt.Sprintf("Collect/%d", n), func(b *testing.B) {
			must(s.Collect(b.Context()))(b)
			cpu(b, func() { must(s.Collect(b.Context()))(b) })
		})
		b.Run(fmt.Sprintf("Status/%d", n), func(b *testing.B) {
			cpu(b, func() { must(s.Status(b.Context()))(b) })
		})
		info := must(os.Stat(s.database()))(b)
		b.Logf("%d blobs: metadata.db %d KiB", n, info.Size()>>10)
		check(b, s.Close())
	}
}

// cpu reports the processor time per operation, which other programs on the machine change less than the time.
func cpu(b *testing.B, op func()) {
	var before, after syscall.Rusage
	check(b, syscall.Getrusage(syscall.RUSAGE_SELF, &before))
	for b.Loop() {
		op()
	}
	check(b, syscall.Getrusage(syscall.RUSAGE_SELF, &after))
	spent := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(spent)/float64(b.N), "cpu-ns/op")
}
