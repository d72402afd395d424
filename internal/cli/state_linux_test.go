package cli

import (
	"errors"
	"os"
	"sync"
	"testing"
)

// A sweep may find a directory between its making and its locking.
func TestContainersSurviveSweepsOfOthers(t *testing.T) {
	s, err := openState(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := s.sweep("false"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 300 {
		c, err := s.newContainer()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := lockFile(c.path("lock"), false); !errors.Is(err, errLocked) {
			t.Fatalf("lock of a new container: %v", err)
		}
		if _, err := os.Stat(c.path("rootfs")); err != nil {
			t.Fatal(err)
		}
		if err := c.remove(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	if list, _ := os.ReadDir(s.dir + "/run"); len(list) != 0 {
		if err := s.sweep("false"); err != nil {
			t.Fatal(err)
		}
		if list, _ = os.ReadDir(s.dir + "/run"); len(list) != 0 {
			t.Errorf("left: %v", list)
		}
	}
}
