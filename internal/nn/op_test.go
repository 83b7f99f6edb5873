package nn

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestOpsListsThemAll reads the source: an op that is not listed cannot be read from JSON, and no table of
// another package is held to have it.
func TestOpsListsThemAll(t *testing.T) {
	var declared, listed []string
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range tree.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "Kind" && f.Recv != nil {
				declared = append(declared, f.Recv.List[0].Type.(*ast.Ident).Name)
			}
		}
	}
	kinds := map[string]bool{}
	for _, op := range Ops() {
		listed = append(listed, reflect.TypeOf(op).Name())
		kinds[op.Kind()] = true
	}
	slices.Sort(declared)
	slices.Sort(listed)
	if !slices.Equal(declared, listed) || len(declared) < 16 {
		t.Errorf("ops in the source: %v\nlisted: %v", declared, listed)
	}
	if len(kinds) != len(listed) {
		t.Errorf("%d ops have %d kinds", len(listed), len(kinds))
	}
}
