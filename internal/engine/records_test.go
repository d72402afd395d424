package engine

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// A file of records whose pages a disk has torn makes errors that name it, not an end of the process.
func TestTornRecordsAreErrors(t *testing.T) {
	r := newRecords(filepath.Join(t.TempDir(), "meta.db"))
	key := []byte("key")
	put := func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte("v1"))
		if err != nil {
			return err
		}
		return b.Put(key, bytes.Repeat([]byte("x"), 1<<20))
	}
	check(t, r.Update(put))
	check(t, r.Close())
	whole, err := os.ReadFile(r.path)
	check(t, err)
	for name, garbage := range map[string]byte{"zeros": 0, "ones": 0xff, "text": 'x'} {
		b := bytes.Clone(whole)
		for i := 2 * os.Getpagesize(); i < len(b); i++ {
			b[i] = garbage
		}
		torn := newRecords(filepath.Join(t.TempDir(), "meta.db"))
		check(t, os.WriteFile(torn.path, b, 0o600))
		read := torn.View(func(tx *bolt.Tx) error { tx.Bucket([]byte("v1")).Get(key); return nil })
		for what, err := range map[string]error{"read": read, "write": torn.Update(put)} {
			if err == nil || !strings.Contains(err.Error(), torn.path+": damaged") {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
		check(t, torn.Close())
	}
}
