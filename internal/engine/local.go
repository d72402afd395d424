package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/log"
	bolt "go.etcd.io/bbolt"

	"github.com/laminafs/lamina/internal/differ"
)

// namespace is that of all records in the metadata: these are the containers of one program.
const namespace = "lamina"

// Local is an engine that needs no containerd: it has images and content of its own beside the store.
//
//	<root>/meta.db       records of images, content and leases, in containerd's schema
//	<root>/content/      the content store: manifests, configs, layers as registries have them
//	<root>/content/busy/ locks of layers that some process is fetching
//	<root>/engine.lock   shared by all who use content; exclusive for collecting it
//	<root>/containers/   see Container
//
// Several processes may use one root at the same time. Methods are safe for concurrent use.
type Local struct {
	*Engine

	root    string
	db      *records
	files   *prompt // what is in the directory
	meta    *metadata.DB
	content content.Store // what is in the records
	images  images.Store
	leases  leases.Manager
	tracker docker.StatusTracker
	differ  *differ.Differ
	lock    *os.File
}

// OpenLocal opens the engine of a configuration with its content and images. The caller closes it.
func OpenLocal(ctx context.Context, c Config) (_ *Local, err error) {
	_ = log.SetLevel("panic") // libraries log what they return as errors, too
	root, err := filepath.Abs(c.StoreRoot())
	if err != nil {
		return nil, err
	}
	// Runtimes take no root file system below a symbolic link.
	if err := os.MkdirAll(root, 0o700); err != nil { // images have setuid programs: for the owner only
		return nil, fmt.Errorf("engine: %w", err)
	}
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	l := &Local{root: root, tracker: docker.NewInMemoryTracker()}
	for _, dir := range []string{l.path("content"), l.path("containers")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("engine: %w", err)
		}
	}
	if l.lock, err = lockFile(l.path("engine.lock"), true, false, true); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	if l.Engine, err = Open(ctx, c); err != nil {
		return nil, errors.Join(err, l.lock.Close())
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	if l.files, err = newPrompt(l.path("content")); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	l.db = newRecords(l.path("meta.db"))
	l.meta = metadata.NewDB(l.db, l.files, nil)
	if err := l.init(ctx); err != nil {
		if strings.Contains(err.Error(), l.db.path) { // once is enough
			return nil, err
		}
		return nil, fmt.Errorf("engine: %s: %w", l.db.path, err)
	}
	l.content, l.images, l.leases = l.meta.ContentStore(), metadata.NewImageStore(l.meta), metadata.NewLeaseManager(l.meta)
	if l.differ, err = l.NewDiffer(l.content, l.path("content"), nil); err != nil {
		return nil, err
	}
	return l, nil
}

// init makes the tables of a new file; one that has them is not written to.
func (l *Local) init(ctx context.Context) error {
	there := false
	if st, err := os.Stat(l.db.path); err == nil && st.Size() > 0 {
		err := l.db.View(func(tx *bolt.Tx) error {
			if b := tx.Bucket([]byte("v1")); b != nil {
				there = b.Get([]byte("version")) != nil
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if there {
		return nil
	}
	return l.meta.Init(ctx)
}

// Close ends the use of the root. It is idempotent.
func (l *Local) Close() error {
	var err error
	if l.db != nil {
		err = l.db.Close()
	}
	if l.Engine != nil {
		err = errors.Join(err, l.Engine.Close())
		l.Engine = nil
	}
	if l.lock != nil {
		err = errors.Join(err, l.lock.Close())
		l.lock = nil
	}
	return err
}

// path is the path of a file below the root.
func (l *Local) path(elem ...string) string {
	return filepath.Join(append([]string{l.root}, elem...)...)
}

// named is the context that containerd's stores want.
func (l *Local) named(ctx context.Context) context.Context {
	return namespaces.WithNamespace(ctx, namespace)
}
