//go:build linux

package containerd

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// damages are what can have happened to the files of blobs while nobody looked.
var damages = map[string]func(blob string) error{
	"a bit of the superblock": func(blob string) error {
		f, err := os.OpenFile(blob, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		var b [1]byte
		_, err = f.ReadAt(b[:], 1024+20)
		if err == nil {
			b[0] ^= 0x10
			_, err = f.WriteAt(b[:], 1024+20)
		}
		return errors.Join(err, f.Close())
	},
	"cut off": func(blob string) error { return os.Truncate(blob, 4096) },
	"deleted": os.Remove,
}

// Blobs that were damaged while the daemon was away are rebuilt from containerd's content when somebody asks for them: a pull,
// a container, a view. Nobody has to remove the image.
func TestDamagedBlobsAreRebuiltFromTheContent(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		s := startOurs(t, version)
		img := tenLayers(t)
		ref := s.push("ten", img)
		s.pull(ref)
		for ask, do := range map[string]func(){
			"pull": func() { s.pull(ref) },
			"run":  func() { s.run(ref, "asks", "sh", "-c", "cat /data/kept/10 >/dev/null") },
			"view": func() {},
		} {
			for name, damage := range damages {
				s.damage(damage)
				do()
				s.intact(t, chainID(img, len(img.Layers)-1), img.Tars())
				if n := len(blobFiles(s)); n != len(img.Layers) {
					t.Errorf("%s after %s: %d blobs", ask, name, n)
				}
			}
		}
		set := must(filepath.Glob(filepath.Join(s.lamina.Config.Root, "damaged/*")))(t)
		if want := 6 * len(img.Layers); len(set) != want {
			t.Errorf("%d files were set aside, not %d", len(set), want)
		}
		for _, path := range set { // kept for a week for whoever wants to know
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
		}
		s.removeAllImages()
	})
}

// damage stops the daemon, damages every blob and starts it again.
func (s *setup) damage(how func(string) error) {
	s.Helper()
	if err := s.lamina.Stop(); err != nil {
		s.Fatal(err)
	}
	for _, b := range blobFiles(s) {
		if err := how(filepath.Join(s.lamina.Config.Root, "blobs", b)); err != nil {
			s.Fatal(err)
		}
	}
	if err := s.lamina.Start(s.ctx); err != nil {
		s.Fatal(err)
	}
	s.reconnected()
}

// Without the content there is nothing to rebuild from: the error says what to do, and that works.
func TestDamagedBlobWithoutContentSaysWhatToDo(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		s := startOurs(t, version)
		img := small(t, 2)
		ref := s.push("small", img)
		s.pull(ref)
		layer := img.Layers[1].Descriptor.Digest
		s.ctr("content", "rm", layer.String())
		s.eventually("the content is gone", func() error {
			file := filepath.Join(s.containerd.Config.Root, "io.containerd.content.v1.content/blobs/sha256", layer.Encoded())
			if _, err := os.Stat(file); err == nil {
				return errors.New(file)
			}
			return nil
		})
		s.damage(os.Remove)
		_, err := s.containerd.Ctr(s.ctx, "snapshots", "--snapshotter", s.name, "view", "look", chainID(img, 1))
		if err == nil || !strings.Contains(err.Error(), "remove the image and pull it again") {
			t.Errorf("view: %v", err)
		}
		s.ctr("images", "rm", "--sync", ref)
		s.pull(ref)
		s.run(ref, "works", "sh", "-c", "true")
		s.removeAllImages()
	})
}
