package engine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A layer goes to the disk while it comes: one sync at a time, that holds nobody up before Commit.
func TestALayerGoesToTheDiskWhileItComes(t *testing.T) {
	p, err := newPrompt(t.TempDir())
	noError(t, err)
	began, end := make(chan string), make(chan struct{})
	var running, most atomic.Int32
	p.sync = func(path string) error {
		most.Store(max(most.Load(), running.Add(1)))
		began <- path
		<-end
		running.Add(-1)
		return nil
	}
	body := bytes.Repeat([]byte("0123456789abcdef"), 4*promptSize/16)
	d := digest.FromBytes(body)
	w, err := p.Writer(t.Context(), content.WithRef("a/1/layer"), content.WithDescriptor(v1.Descriptor{Size: int64(len(body))}))
	noError(t, err)
	_, err = w.Write(body[:promptSize])
	noError(t, err)
	path := <-began
	if st, err := os.Stat(path); err != nil || st.Size() < promptSize {
		t.Fatalf("what is synced is not what comes: %v, %v", st, err)
	}
	other, err := p.Writer(t.Context(), content.WithRef("a/2/other"))
	noError(t, err)
	_, err = other.Write(body[:promptSize])
	noError(t, err)
	noError(t, other.Close())
	for at := promptSize; at < len(body); at += 1 << 20 { // nobody lets the sync end: this must not wait for it
		_, err = w.Write(body[at : at+1<<20])
		noError(t, err)
	}
	committed := make(chan error)
	go func() { committed <- w.Commit(t.Context(), int64(len(body)), d) }()
	select {
	case err := <-committed:
		t.Errorf("Commit has left a sync behind: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(end)
	noError(t, <-committed)
	if most.Load() != 1 {
		t.Errorf("%d syncs at once", most.Load())
	}
	got, err := content.ReadBlob(t.Context(), p, v1.Descriptor{Digest: d, Size: int64(len(body))})
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("committed %d bytes: %v", len(got), err)
	}
}

func TestALayerThatIsGivenUpEndsItsSync(t *testing.T) {
	p, err := newPrompt(t.TempDir())
	noError(t, err)
	var ended atomic.Bool
	p.sync = func(path string) error {
		time.Sleep(20 * time.Millisecond)
		defer ended.Store(true)
		return errors.Join(syncFile(path), syncFile(filepath.Join(path, "of nobody"))) // a file that is gone meanwhile
	}
	w, err := p.Writer(t.Context(), content.WithRef("a/1/layer"))
	noError(t, err)
	_, err = w.Write(make([]byte, promptSize))
	noError(t, err)
	noError(t, w.Close())
	if !ended.Load() {
		t.Error("the sync goes on after Close")
	}
	if _, err := p.Status(t.Context(), "a/1/layer"); err != nil {
		t.Errorf("what came is gone: %v", err)
	}
}

// What a disk could not take is not what the next pull goes on with: the page cache would show it as written.
func TestALayerThatTheDiskLostBeginsAnew(t *testing.T) {
	p, err := newPrompt(t.TempDir())
	noError(t, err)
	p.sync = func(string) error { return syscall.EIO }
	w, err := p.Writer(t.Context(), content.WithRef("a/1/layer"))
	noError(t, err)
	_, err = w.Write(make([]byte, promptSize))
	noError(t, err)
	noError(t, w.Close())
	if _, err := p.Status(t.Context(), "a/1/layer"); !errdefs.IsNotFound(err) {
		t.Errorf("the ingest is still there: %v", err)
	}
}

// An ingest is found while others are committed.
func TestAnIngestIsFoundWhileOthersEnd(t *testing.T) {
	p, err := newPrompt(t.TempDir())
	noError(t, err)
	stay, err := p.Writer(t.Context(), content.WithRef("a/1/stays"))
	noError(t, err)
	_, err = stay.Write([]byte("here"))
	noError(t, err)
	defer func() { _ = stay.Close() }()
	done := make(chan error)
	go func() {
		var err error
		for i := 0; i < 100 && err == nil; i++ {
			body := []byte(fmt.Sprint("layer ", i))
			err = content.WriteBlob(t.Context(), p, fmt.Sprint("a/2/", i), bytes.NewReader(body),
				v1.Descriptor{Digest: digest.FromBytes(body), Size: int64(len(body))})
		}
		done <- err
	}()
	for {
		path, err := p.find("/stays")
		if b, rerr := os.ReadFile(path); err != nil || rerr != nil || string(b) != "here" {
			t.Fatalf("%q has %q: %v, %v", path, b, err, rerr)
		}
		select {
		case err := <-done:
			noError(t, err)
			if path, err := p.find("/gone"); path != "" || err != nil {
				t.Errorf("one that is not there is at %q: %v", path, err)
			}
			return
		default:
		}
	}
}
