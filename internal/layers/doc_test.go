package layers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"
)

// Methods that an interface of the standard library documents.
var documentedElsewhere = map[string]bool{
	"String": true, "Error": true, "Unwrap": true, "Is": true, "As": true,
	"Len": true, "Less": true, "Swap": true,
}

func TestExportedNamesAreDocumented(t *testing.T) {
	for _, p := range ours(t) {
		for _, f := range p.GoFiles {
			checkDocs(t, filepath.Join(p.Dir, f), p.name()+"/"+f)
		}
	}
}

func checkDocs(t *testing.T, file, name string) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return
	}
	missing := func(n ast.Node, what string) {
		t.Errorf("%s:%d: %s has no doc comment", name, fset.Position(n.Pos()).Line, what)
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Doc == nil && d.Name.IsExported() && receiverExported(d) && (d.Recv == nil || !documentedElsewhere[d.Name.Name]) {
				missing(d, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if n := undocumented(d, s); n != "" {
					missing(s, n)
				}
			}
		}
	}
}

// undocumented returns the exported name that a declaration leaves without a comment of its own, of
// its line or of its group.
func undocumented(d *ast.GenDecl, s ast.Spec) string {
	switch s := s.(type) {
	case *ast.TypeSpec:
		if d.Doc == nil && s.Doc == nil && s.Comment == nil && s.Name.IsExported() {
			return s.Name.Name
		}
	case *ast.ValueSpec:
		for _, n := range s.Names {
			if d.Doc == nil && s.Doc == nil && s.Comment == nil && n.IsExported() && !inCommentedRun(d, s) {
				return n.Name
			}
		}
	}
	return ""
}

// inCommentedRun tells whether a constant continues a run that a comment introduced: the first spec
// of the run carries it, further ones follow without an empty line or repeat its expression (iota).
func inCommentedRun(d *ast.GenDecl, s *ast.ValueSpec) bool {
	documented, end := false, token.NoPos
	for _, o := range d.Specs {
		v := o.(*ast.ValueSpec)
		if v.Doc != nil {
			documented = true
		} else if end.IsValid() && v.Pos()-end > runGap {
			documented = false
		}
		end = v.End()
		if v.Comment != nil {
			end = v.Comment.End()
		}
		if v == s {
			return documented
		}
	}
	return false
}

// runGap is the distance in bytes, newline and indentation included, within which a spec continues
// the run above it; an empty line makes it at least 3.
const runGap = 2

func receiverExported(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	if p, ok := typ.(*ast.StarExpr); ok {
		typ = p.X
	}
	if i, ok := typ.(*ast.IndexExpr); ok {
		typ = i.X
	}
	id, ok := typ.(*ast.Ident)
	return ok && id.IsExported()
}
