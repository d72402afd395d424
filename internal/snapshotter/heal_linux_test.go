package snapshotter

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/internal/store"
)

// Whoever asks for a snapshot on lost layers gets them rebuilt, each once, also those that were lost while the store was
// open; a failed call leaves nothing.
func TestLostBlobsAreRebuiltForWhoeverAsks(t *testing.T) {
	images := map[store.Key][]byte{}
	var rebuilt []store.Key
	var refuse error
	var st *store.Store
	rebuild := func(ctx context.Context, k store.Key) error {
		rebuilt = append(rebuilt, k)
		if refuse != nil {
			return refuse
		}
		if _, err := st.Reuse(ctx, k, ""); !errdefs.IsNotFound(err) {
			return errors.New("asked for a blob that is whole")
		}
		staged, err := st.Stage(ctx)
		if err != nil {
			return err
		}
		if _, err := staged.File().Write(images[k]); err != nil {
			return err
		}
		_, err = staged.Publish(ctx, k, "")
		return err
	}
	s := open(t, Config{Rebuild: rebuild})
	st = s.store
	low, high := publish(t, s, map[string]string{"low": "1"}), publish(t, s, map[string]string{"high": "2"})
	for _, b := range []store.Blob{low, high} {
		image, err := os.ReadFile(st.Path(b))
		must(t, err)
		images[b.Key] = image
	}
	one := commitBlob(t, s, "", low, nil)
	two := commitBlob(t, s, one, high, nil)
	runs := newKey("container")
	_, err := s.Prepare(t.Context(), runs, two)
	must(t, err)
	both := []store.Key{high.Key, low.Key}
	for name, c := range map[string]struct {
		ask  func() error
		want []store.Key
	}{
		"Stat":    {func() error { _, err := s.Stat(t.Context(), one); return err }, []store.Key{low.Key}},
		"Prepare": {func() error { _, err := s.Prepare(t.Context(), newKey("container"), two); return err }, both},
		"View":    {func() error { _, err := s.View(t.Context(), newKey("view"), two); return err }, both},
		"Mounts":  {func() error { _, err := s.Mounts(t.Context(), runs); return err }, both},
	} {
		must(t, os.Remove(st.Path(low)))
		must(t, os.Truncate(st.Path(high), 100))
		rebuilt, refuse = nil, errdefs.ErrNotFound
		if err := c.ask(); !errdefs.IsNotFound(err) || len(rebuilt) != 1 {
			t.Errorf("%s, without content: %v, rebuilt %v", name, err, rebuilt)
		}
		rebuilt, refuse = nil, nil
		if err := c.ask(); err != nil || !slices.Equal(rebuilt, c.want) {
			t.Errorf("%s: %v, rebuilt %v", name, err, rebuilt)
		}
		for _, b := range []store.Blob{low, high} { // for the next
			if !s.isThere(b) {
				must(t, rebuild(t.Context(), b.Key))
			}
		}
	}
	must(t, os.Remove(st.Path(low)))
	must(t, s.Commit(t.Context(), newKey("image"), runs))
	if got := read(t, view(t, s, two), "low"); got != "1" {
		t.Errorf("read %q", got)
	}
}
