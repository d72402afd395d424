package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// place is where a file named on the command line lies.
type place struct {
	name  string
	path  string      // without symbolic links, absolute; also of what does not exist yet
	found fs.FileInfo // nil if there is nothing
}

// placeOf finds a file. "-" is given as the path of the stream.
func placeOf(name string) place {
	p := place{name: name, path: name}
	p.found, _ = os.Stat(name) // what cannot be looked at fails when it is opened
	for range 40 {             // as many symbolic links as the kernel follows
		link, err := os.Readlink(p.path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(link) {
			link = filepath.Join(filepath.Dir(p.path), link)
		}
		p.path = link
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(p.path)); err == nil {
		p.path = filepath.Join(dir, filepath.Base(p.path))
	}
	if abs, err := filepath.Abs(p.path); err == nil {
		p.path = abs
	}
	return p
}

// same tells whether writing to one of the places would touch the other. Terminals, pipes and /dev/null
// are nothing that can be destroyed.
func (p place) same(q place) bool {
	switch {
	case p.found == nil && q.found == nil:
		return p.path == q.path
	case p.found == nil || q.found == nil || !os.SameFile(p.found, q.found):
		return false
	}
	const stream = fs.ModeCharDevice | fs.ModeNamedPipe | fs.ModeSocket
	return p.found.Mode()&stream == 0
}

// apart refuses outputs that are one another or an input. Names that are "" do not count.
func apart(outputs, inputs []string) error {
	var outs []place
	for _, name := range outputs {
		if name == "" {
			continue
		}
		out := name
		if out == "-" {
			out = "/dev/stdout"
		}
		p := placeOf(out)
		for _, q := range outs {
			if p.same(q) || name == "-" && isStdout(q.name) {
				return usagef("%s: output is also the output %s", name, q.name)
			}
		}
		outs = append(outs, p)
	}
	for _, name := range inputs {
		in := name
		switch name {
		case "":
			continue
		case "-":
			in = "/dev/stdin"
		}
		q := placeOf(in)
		for _, p := range outs {
			if p.same(q) {
				return usagef("%s: output is also the input", p.name)
			}
		}
	}
	return nil
}

// layerFiles are the files that arguments of merge name: an OCI image is KIND:PATH, with :TAG or without.
func layerFiles(layers []string) []string {
	var files []string
	for _, l := range layers {
		for _, kind := range ociKinds {
			if rest, ok := strings.CutPrefix(l, kind); ok {
				path, _, _ := strings.Cut(rest, ":")
				l = rest
				files = append(files, path)
				break
			}
		}
		files = append(files, l)
	}
	return files
}

// ociKinds start the names of OCI images.
var ociKinds = []string{"oci-archive:", "docker-archive:", "oci:"}
