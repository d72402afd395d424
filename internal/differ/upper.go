package differ

import (
	"context"
	"io"
	"strings"

	"github.com/laminafs/lamina/dirtree"
	"github.com/laminafs/lamina/tartree"
	"github.com/laminafs/lamina/tree"
)

// The attributes of overlayfs, as in package tree.
const (
	overlayXattrs = "trusted.overlay."
	escapedXattrs = overlayXattrs + "overlay." // what overlayfs shows as trusted.overlay.*
	originXattr   = overlayXattrs + "origin"
	redirectXattr = overlayXattrs + "redirect"
	metacopyXattr = overlayXattrs + "metacopy"
)

// machine are attributes that the security modules of this machine write; those of another refuse or ignore
// them.
var machine = map[string]bool{"security.selinux": true, "security.evm": true}

// writeUpper writes an upper directory as a tar, while it is read. It is errDepends if that cannot be done.
func writeUpper(ctx context.Context, w io.Writer, f *form, p *pair) error {
	tw := tartree.NewWriter(w, tartree.WriteOptions{})
	err := dirtree.Walk(p.dir, dirtree.Options{OneFileSystem: true}, func(v dirtree.Visit) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n := v.Node
		if n.IsWhiteout() {
			return tw.Whiteout(v.Path)
		}
		if depends(n) {
			return errDepends
		}
		opaque := n.IsOpaque() && v.Path != "" // overlayfs takes no notice of that of the root
		p.clean(n, f)
		var err error
		if v.Link != "" {
			err = tw.Link(v.Path, v.Link, n)
		} else {
			err = tw.Entry(v.Path, n)
		}
		if err == nil && opaque {
			err = tw.Opaque(v.Path)
		}
		return err
	})
	if err != nil {
		return err
	}
	return tw.Close()
}

// depends tells whether a node of an upper directory takes its name or its data from elsewhere.
func depends(n *tree.Node) bool {
	_, redirect := n.Xattr(redirectXattr)
	_, metacopy := n.Xattr(metacopyXattr)
	return redirect || metacopy
}

// clean makes a node of an upper directory or of a blob one of a layer.
func (p *pair) clean(n *tree.Node, f *form) {
	if n.IsWhiteout() {
		*n = tree.Node{Mode: tree.TypeChar}
		return
	}
	n.Mtime, n.Nsec = f.clamp(n.Mtime, n.Nsec)
	if p.owner != nil {
		n.UID, n.GID = p.owner(n.UID, n.GID)
	}
	var kept []tree.Xattr
	for _, x := range n.Xattrs {
		book := strings.HasPrefix(x.Name, overlayXattrs) && !strings.HasPrefix(x.Name, escapedXattrs) &&
			(x.Name != tree.OpaqueXattr || x.Value != "y" || !n.IsDir())
		if !book && !machine[x.Name] {
			kept = append(kept, x)
		}
	}
	n.Xattrs = kept
}
