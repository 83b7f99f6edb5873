package params

import (
	"github.com/agnivade/levenshtein"
	"gopkg.in/yaml.v3"
)

// Error is something wrong with one parameter. Path names it from the top of
// the mapping: "split.train", "sources[1].folder"; empty for the whole. Line
// and Column count from 1; 0 means that only the path is known.
type Error struct {
	Path         string
	Message      string
	Hint         string
	Line, Column int
	Idle         bool // the parameter is right, but nothing takes it
}

func (e *Error) Error() string {
	text := e.Message
	if e.Path != "" {
		text = e.Path + ": " + text
	}
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

// Locate finds the node that a path names, or the deepest one on the way.
// For a mapping's entry it returns the key if the value is missing.
func Locate(node *yaml.Node, path string) *yaml.Node {
	for _, step := range splitPath(path) {
		child := childOf(node, step)
		if child == nil {
			break
		}
		node = child
	}
	return node
}

// Nearest returns the known word closest to the given one, or "" if none is
// close enough to be what was meant.
func Nearest(word string, known []string) string {
	best, distance := "", min(len(word)/2, 3)+1
	for _, k := range known {
		if d := levenshtein.ComputeDistance(word, k); d < distance {
			best, distance = k, d
		}
	}
	return best
}

// DidYouMean is a hint that names the nearest known word, or all known words
// if none is near; "" if there is nothing to say.
func DidYouMean(word string, known []string) string {
	if near := Nearest(word, known); near != "" {
		return "did you mean " + quote(near) + "?"
	}
	if len(known) == 0 {
		return ""
	}
	return "known: " + list(known)
}
