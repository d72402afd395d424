//go:build linux

package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// A Registry is a running registry on the loopback interface, plain HTTP.
type Registry struct {
	*Process
	Host string // 127.0.0.1:port
}

// StartRegistry starts the registry of the distribution project on the storage directory dir.
func (b *Bench) StartRegistry(ctx context.Context, dir string) (*Registry, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Registry{Host: l.Addr().String()}
	if err := l.Close(); err != nil { // the registry takes it over; on this machine nobody else asks for ports in between
		return nil, err
	}
	config := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"+
		"storage:\n  filesystem: {rootdirectory: %q, maxthreads: 100}\n  delete: {enabled: true}\nhttp: {addr: %q}\n", dir, r.Host)
	file := b.Path("registry.yml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		return nil, err
	}
	r.Process, err = Start("registry", b.Path("registry.log"), []string{"OTEL_TRACES_EXPORTER=none"}, b.Tools.Registry, "serve", file)
	if err != nil {
		return nil, err
	}
	b.Defer(r.Stop)
	return r, r.waitReady(20*time.Second, func() error {
		resp, err := http.Get("http://" + r.Host + "/v2/")
		if err == nil {
			err = resp.Body.Close()
		}
		return err
	})
}

// Push puts an image under repository:tag and returns the reference to pull.
func (r *Registry) Push(ctx context.Context, repository, tag string, image *Image) (string, error) {
	base := "http://" + r.Host + "/v2/" + repository
	for _, l := range image.Layers {
		f, err := os.Open(l.Path)
		if err != nil {
			return "", err
		}
		err = pushBlob(ctx, base, string(l.Descriptor.Digest), io.NopCloser(f))
		if err = errors.Join(err, f.Close()); err != nil {
			return "", err
		}
	}
	if err := pushBlob(ctx, base, string(image.ConfigDescriptor.Digest), bytes.NewReader(image.Config)); err != nil {
		return "", err
	}
	err := send(ctx, http.MethodPut, base+"/manifests/"+tag, image.MediaType, bytes.NewReader(image.Manifest), http.StatusCreated, nil)
	return r.Host + "/" + repository + ":" + tag, err
}

func pushBlob(ctx context.Context, base, digest string, body io.Reader) error {
	if send(ctx, http.MethodHead, base+"/blobs/"+digest, "", nil, http.StatusOK, nil) == nil {
		return nil
	}
	var location string
	if err := send(ctx, http.MethodPost, base+"/blobs/uploads/", "", nil, http.StatusAccepted, &location); err != nil {
		return err
	}
	return send(ctx, http.MethodPut, location+"&digest="+digest, "application/octet-stream", body, http.StatusCreated, nil)
}

func send(ctx context.Context, method, url, kind string, body io.Reader, want int, location *string) error {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 1000)) // explains a refusal
	if resp.StatusCode != want {
		return fmt.Errorf("%s %s: %s %s", method, url, resp.Status, answer)
	}
	if location != nil {
		*location = resp.Header.Get("Location")
	}
	return nil
}
