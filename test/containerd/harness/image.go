//go:build linux

package harness

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A Layer is a tar and the blob that a registry has of it.
type Layer struct {
	Tar        string // path of the uncompressed archive
	Path       string // path of the blob
	DiffID     digest.Digest
	Descriptor ocispec.Descriptor
}

// An Image is what is pushed to a registry.
type Image struct {
	Layers           []Layer
	Config, Manifest []byte
	ConfigDescriptor ocispec.Descriptor
	MediaType        string
}

// Tars are the archives of the layers, the lowest first.
func (i *Image) Tars() []string {
	var tars []string
	for _, l := range i.Layers {
		tars = append(tars, l.Tar)
	}
	return tars
}

// Digest is the digest of the manifest.
func (i *Image) Digest() digest.Digest { return digest.FromBytes(i.Manifest) }

// compressors write the blob of a tar from stdin to stdout.
var compressors = map[string]struct {
	suffix string
	argv   []string
}{
	"":     {"", nil},
	"gzip": {"+gzip", []string{"gzip", "-n", "-6"}},
	"zstd": {"+zstd", []string{"zstd", "-q", "-3", "-c"}},
}

// NewLayer makes the blob of a tar below dir: compression is "", gzip or zstd. If TAR.gz or TAR.zst is there, it is taken.
func NewLayer(dir, tar, compression string) (Layer, error) {
	c, ok := compressors[compression]
	if !ok {
		return Layer{}, fmt.Errorf("compression %q", compression)
	}
	l := Layer{Tar: tar, Path: tar}
	var err error
	if l.DiffID, _, err = digestOf(tar); err != nil {
		return l, err
	}
	if compression != "" {
		l.Path = tar + map[string]string{"gzip": ".gz", "zstd": ".zst"}[compression]
		if _, err := os.Stat(l.Path); err != nil {
			l.Path = filepath.Join(dir, l.DiffID.Encoded()+"."+compression)
			if err := compress(tar, l.Path, c.argv); err != nil {
				return l, err
			}
		}
	}
	l.Descriptor.MediaType = ocispec.MediaTypeImageLayer + c.suffix
	l.Descriptor.Digest, l.Descriptor.Size, err = digestOf(l.Path)
	return l, err
}

func compress(from, to string, argv []string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout = in, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", argv[0], from, err)
	}
	return out.Close()
}

func digestOf(path string) (digest.Digest, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return digest.NewDigest(digest.SHA256, h), n, err
}

// NewImage makes config and manifest for layers, the lowest first.
func NewImage(layers []Layer, config ocispec.ImageConfig) (*Image, error) {
	i := &Image{Layers: layers, MediaType: ocispec.MediaTypeImageManifest}
	c := ocispec.Image{
		Platform: ocispec.Platform{Architecture: "amd64", OS: "linux"},
		Config:   config,
		RootFS:   ocispec.RootFS{Type: "layers"},
	}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: i.MediaType}
	for _, l := range layers {
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, l.DiffID)
		c.History = append(c.History, ocispec.History{CreatedBy: filepath.Base(l.Tar)})
		m.Layers = append(m.Layers, l.Descriptor)
	}
	var err error
	if i.Config, err = json.Marshal(c); err != nil {
		return nil, err
	}
	i.ConfigDescriptor = ocispec.Descriptor{
		MediaType: ocispec.MediaTypeImageConfig, Digest: digest.FromBytes(i.Config), Size: int64(len(i.Config)),
	}
	m.Config = i.ConfigDescriptor
	i.Manifest, err = json.Marshal(m)
	return i, err
}
