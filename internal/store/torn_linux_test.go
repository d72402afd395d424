package store

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// manyLinks makes a store with enough records for bbolt to have many pages.
func manyLinks(t *testing.T) *Store {
	t.Helper()
	s := newStore(t)
	update(t, s, func(_ context.Context, tx *Tx) error {
		for i := range 3000 {
			if err := tx.Link(fmt.Sprint("image:", i), keyOf(fmt.Sprint(i))); err != nil {
				return err
			}
		}
		return nil
	})
	return s
}

func readAll(s *Store) error {
	return s.View(context.Background(), func(_ context.Context, tx *Tx) error {
		for range tx.Links() {
		}
		return nil
	})
}

func saysTorn(t *testing.T, what string, s *Store, err error) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), s.database()+": damaged") || !strings.Contains(err.Error(), "move its directory away") {
		t.Errorf("%s: %v", what, err)
	}
}

// Pages that are torn after the start make errors that name the file, for readers and writers, and the process lives on.
func TestTornPagesAreErrors(t *testing.T) {
	for name, garbage := range map[string]byte{"zeros": 0, "ones": 0xff, "text": 'x'} {
		s := manyLinks(t)
		b := must(os.ReadFile(s.database()))(t)
		whole := append([]byte(nil), b...)
		for i := 2 * os.Getpagesize(); i < len(b); i++ {
			b[i] = garbage
		}
		check(t, os.WriteFile(s.database(), b, 0o600))
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 3 {
				saysTorn(t, name+", read", s, readAll(s))
				saysTorn(t, name+", write", s, s.Update(context.Background(), func(_ context.Context, tx *Tx) error {
					return tx.Link("image:new", keyOf("new"))
				}))
			}
		}()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: somebody waits for a lock that nobody gives up", name)
		}
		check(t, os.WriteFile(s.database(), whole, 0o600))
		check(t, readAll(reopen(t, s)))
	}
}

// A file that is cut off while it is mapped is a fault of the processor, and an error here.
func TestFaultInTheDatabaseIsAnError(t *testing.T) {
	s := manyLinks(t)
	err := s.View(t.Context(), func(_ context.Context, tx *Tx) error {
		check(t, os.Truncate(s.database(), 4096))
		for range tx.Links() {
		}
		return nil
	})
	saysTorn(t, "cut off", s, err)
}
