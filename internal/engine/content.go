package engine

import (
	"fmt"
	"path/filepath"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	leasesapi "github.com/containerd/containerd/api/services/leases/v1"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/content/proxy"
	leasesproxy "github.com/containerd/containerd/v2/core/leases/proxy"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// contentDir is where containerd's content store is below its root directory.
const contentDir = "io.containerd.content.v1.content"

// maxMessage is the limit that containerd has for messages, in bytes.
const maxMessage = 16 << 20

// Content is the content store of containerd, through its socket, with the namespace and the lease of each
// context. Nothing is connected before it is needed: containerd starts after us. The caller calls the returned
// function at the end.
func (c *Containerd) Content() (content.Store, func() error, error) {
	conn, err := grpc.NewClient("unix://"+c.Address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)))
	if err != nil {
		return nil, nil, fmt.Errorf("engine: containerd.address: %w", err)
	}
	store := proxy.NewContentStore(contentapi.NewContentClient(conn))
	return &leased{store, leasesproxy.NewLeaseManager(leasesapi.NewLeasesClient(conn))}, conn.Close, nil
}

// ContentRoot is the directory of the content store of containerd, "" if it is not to be read.
func (c *Containerd) ContentRoot() string {
	if c.Root == "" {
		return ""
	}
	return filepath.Join(c.Root, contentDir)
}
