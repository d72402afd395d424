package tartree

import (
	"bytes"

	"github.com/laminafs/lamina/tree"
)

const (
	maxName   = 255  // bytes of a component: NAME_MAX
	maxTarget = 4095 // bytes of the target of a symbolic link: PATH_MAX with its NUL

	// maxImplied bounds the directories that an archive makes without an entry: one name can make 2047 of
	// them, so a small archive could take gigabytes otherwise.
	maxImplied = 1 << 20

	// Bounds of one path that goes through symbolic links: what an entry of 512 bytes can cost.
	maxHops  = 255               // links followed, as containerd has it
	maxSteps = 4 * tree.MaxDepth // components walked
	maxRest  = 16 << 10          // bytes that the links may add to what is still to walk
)

const (
	whyName = "a component of the name is longer than 255 bytes"
	whyDeep = "more than 2048 components in the name"
	whyHops = "too many symbolic links in the path"
)

// paths finds directories of a tree by name. Archives are grouped by directory, so the path of the last
// one is kept with the nodes along it.
type paths struct {
	root  *tree.Node
	dir   []byte // path of the last directory, clean
	marks []mark // directories along dir, in order; the root is left out
	clean []byte // scratch
	left  int    // nodes that may still be made

	implied int // directories made that have no entry, or had none yet
}

// mark is a directory on the way: the node of the first end bytes of paths.dir.
type mark struct {
	end   int
	depth int // of the node in the tree
	node  *tree.Node
}

// forget drops the path: to be called when a directory or a symbolic link was replaced or removed.
func (p *paths) forget() { p.dir, p.marks = p.dir[:0], p.marks[:0] }

// sibling returns the directory and the last component of a name that lies directly in the last
// directory, as most do; dir is nil if it does not.
func (p *paths) sibling(name []byte) (dir *tree.Node, base []byte) {
	base = trim(name)
	if n := len(p.dir); n > 0 {
		if len(base) <= n || base[n] != '/' || !bytes.Equal(base[:n], p.dir) {
			return nil, nil
		}
		base = base[n+1:]
	}
	if len(base) == 0 || base[0] == '.' && (len(base) == 1 || base[1] == '.') || bytes.IndexByte(base, '/') >= 0 {
		return nil, nil
	}
	if n := len(p.marks); n > 0 {
		return p.marks[n-1].node, base
	}
	return p.root, base
}

// parent cleans a name and returns the directory that it is in, made with all its parents if it does not
// exist, and the last component, of any length. dir is nil if the name is that of the root. why is what is
// wrong. base is part of scratch.
func (p *paths) parent(name []byte) (dir *tree.Node, base []byte, why string) {
	if name, why = p.lexical(name); why != "" || len(name) == 0 {
		return nil, nil, why
	}
	i := bytes.LastIndexByte(name, '/')
	if dir, why = p.directory(name[:max(i, 0)], true); why != "" {
		return nil, nil, why
	}
	return dir, name[i+1:], ""
}

// trim removes what leads to the root ("./", "/") and slashes at the end.
func trim(b []byte) []byte {
	for len(b) > 0 {
		switch {
		case b[0] == '/':
			b = b[1:]
		case len(b) > 1 && b[0] == '.' && b[1] == '/':
			b = b[2:]
		case b[len(b)-1] == '/':
			b = b[:len(b)-1]
		default:
			return b
		}
	}
	return b
}

// lexical cleans a name as filepath.Clean does, ".." above the root included, and checks its length.
func (p *paths) lexical(name []byte) (clean []byte, why string) {
	out, depth := p.clean[:0], 0
	for len(name) > 0 {
		c := name
		if i := bytes.IndexByte(name, '/'); i >= 0 {
			c, name = name[:i], name[i+1:]
		} else {
			name = nil
		}
		switch {
		case len(c) == 0 || len(c) == 1 && c[0] == '.':
			continue
		case len(c) == 2 && c[0] == '.' && c[1] == '.':
			if depth > 0 {
				out = out[:max(bytes.LastIndexByte(out, '/'), 0)]
				depth--
			}
			continue
		}
		if depth++; depth > tree.MaxDepth {
			return nil, whyDeep
		}
		if len(out) > 0 {
			out = append(out, '/')
		}
		out = append(out, c...)
	}
	p.clean = out
	return out, ""
}

// directory returns the directory of a clean path. If it does not exist it is made, or, without create, nil
// is returned.
func (p *paths) directory(path []byte, create bool) (*tree.Node, string) {
	at := p.common(path)
	p.marks = p.marks[:at]
	node, depth, end := p.root, 0, 0
	if at > 0 {
		m := p.marks[at-1]
		node, depth, end = m.node, m.depth, m.end
	}
	p.dir = append(p.dir[:0], path[:end]...)
	for end < len(path) {
		start := end
		if start > 0 {
			start++ // the slash
		}
		end = len(path)
		if i := bytes.IndexByte(path[start:], '/'); i >= 0 {
			end = start + i
		}
		c := path[start:end]
		child := node.Lookup(string(c))
		if child != nil && child.Type() == tree.TypeSymlink {
			return p.follow(path, create)
		}
		child, why := p.enter(node, child, c, depth, create)
		if child == nil {
			return nil, why
		}
		node = child
		depth++
		p.dir = append(p.dir[:0], path[:end]...)
		p.marks = append(p.marks, mark{end, depth, node})
	}
	return node, ""
}

// common returns how many of the marks are on the way to path.
func (p *paths) common(path []byte) int {
	n := 0
	for n < len(path) && n < len(p.dir) && path[n] == p.dir[n] {
		n++
	}
	at := len(p.marks)
	for at > 0 {
		if end := p.marks[at-1].end; end <= n && (end == len(path) || path[end] == '/') {
			break
		}
		at--
	}
	return at
}

// enter goes from a directory at depth to its child called name and makes that if need be: in the
// place of a whiteout it is opaque.
func (p *paths) enter(dir, child *tree.Node, name []byte, depth int, create bool) (*tree.Node, string) {
	if depth >= tree.MaxDepth-1 {
		return nil, whyDeep
	}
	if child != nil && child.IsDir() {
		return child, ""
	}
	whiteout := child != nil && child.IsWhiteout()
	switch {
	case child != nil && !whiteout:
		return nil, "a parent is not a directory"
	case !create:
		return nil, ""
	case len(name) > maxName:
		return nil, whyName
	case p.left <= 0:
		return nil, whyNodes
	case p.implied >= maxImplied:
		return nil, "more than 1048576 directories without an entry"
	}
	p.left--
	p.implied++
	n := tree.NewDir(0o755)
	n.SetImplied(true)
	if whiteout {
		n.SetXattr(xattrOpaque, "y")
	}
	dir.Add(string(name), n)
	return n, ""
}

// follow is directory for a path with symbolic links in it: they are followed within the tree, as if its
// root were the root of the file system.
func (p *paths) follow(path []byte, create bool) (*tree.Node, string) {
	p.forget()
	stack := []*tree.Node{p.root}
	rest := append([]byte(nil), path...)
	hops := 0
	for steps := 0; len(rest) > 0; steps++ {
		if hops > maxHops || steps > maxSteps || len(rest) > maxRest+len(path) {
			return nil, whyHops
		}
		c := rest
		if i := bytes.IndexByte(rest, '/'); i >= 0 {
			c, rest = rest[:i], rest[i+1:]
		} else {
			rest = nil
		}
		top := stack[len(stack)-1]
		switch {
		case len(c) == 0 || string(c) == ".":
			continue
		case string(c) == "..":
			if len(stack) > 1 {
				stack = stack[:len(stack)-1]
			}
			continue
		}
		child := top.Lookup(string(c))
		if child != nil && child.Type() == tree.TypeSymlink {
			hops++
			if child.Target[0] == '/' {
				stack = stack[:1]
			}
			rest = append(append([]byte(child.Target), '/'), rest...)
			continue
		}
		child, why := p.enter(top, child, c, len(stack)-1, create)
		if child == nil {
			return nil, why
		}
		stack = append(stack, child)
	}
	node := stack[len(stack)-1]
	if len(path) > 0 && len(stack) > 1 {
		p.dir = append(p.dir[:0], path...)
		p.marks = append(p.marks, mark{len(path), len(stack) - 1, node})
	}
	return node, ""
}
