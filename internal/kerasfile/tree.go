package kerasfile

import (
	"fmt"
	"strings"

	"github.com/tlpipe/tlpipe/internal/hdf5"
)

// tree is a group, each of whose groups is listed once.
type tree struct {
	object   *hdf5.Object
	links    map[string]hdf5.Link // nil if they were not listed yet
	children map[string]*tree
}

func newTree(o *hdf5.Object) *tree { return &tree{object: o, children: map[string]*tree{}} }

// find returns what is at a path; nil if nothing is.
func (t *tree) find(path string) (*tree, error) {
	name, rest, more := strings.Cut(path, "/")
	child := t.children[name]
	if child == nil {
		if t.links == nil {
			links, err := t.object.Links()
			if err != nil {
				return nil, err
			}
			t.links = map[string]hdf5.Link{}
			for _, l := range links {
				t.links[l.Name] = l
			}
		}
		link, ok := t.links[name]
		if !ok {
			return nil, nil
		}
		object, err := t.object.Open(link)
		if err != nil {
			return nil, fmt.Errorf("%.100q: %w", name, err)
		}
		child = newTree(object)
		t.children[name] = child
	}
	if !more {
		return child, nil
	}
	return child.find(rest)
}
