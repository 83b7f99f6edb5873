package pipeline

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// scope holds the values that $(name) can stand for.
type scope map[string]*yaml.Node

// scopes are scopes within each other: the names of the last hide those of the ones before.
type scopes []scope

// with returns the scope with further names, which hide the outer ones.
func (s scope) with(more scope) scopes { return scopes{s, more} }

func (s scope) fill(r *reporter, node *yaml.Node) *yaml.Node { return scopes{s}.fill(r, node) }

var (
	// A doubled dollar keeps what follows from being a variable.
	variableForm = regexp.MustCompile(`\$?\$\(([^()]*)\)`)
	wholeForm    = regexp.MustCompile(`^\$\(([^()]*)\)$`)
)

// spend takes note of what filling in makes. It is false once that is more than the pipeline may hold, which is reported
// at its first use: a few lines of variables that double each other are a pipeline of gigabytes otherwise.
func (r *reporter) spend(use *yaml.Node, nodes, text int) bool {
	before := r.overSpent()
	r.filledNodes += nodes
	r.filledText += text
	if !r.overSpent() {
		return true
	}
	if !before {
		r.at(use, r.raise(), "the pipeline's variables stand for more than %d values or %s of text, which is the limit", r.maxValues, budget.Bytes(r.maxText()))
	}
	return false
}

func (r *reporter) overSpent() bool {
	return r.filledNodes > r.maxValues || int64(r.filledText) > r.maxText()
}

// fill returns a copy of node with variables replaced. A scalar that is one
// variable becomes its value, whatever that is; within longer texts the
// variable's value must be plain text. Places for messages are those of use.
func (s scopes) fill(r *reporter, node *yaml.Node) *yaml.Node {
	if node == nil {
		return nil
	}
	c := *node
	if r.fromEnv[node] {
		r.fromEnv[&c] = true
	}
	if !r.spend(node, 1, 0) {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: node.Line, Column: node.Column}
	}
	if node.Kind != yaml.ScalarNode {
		c.Content = make([]*yaml.Node, len(node.Content))
		for i, child := range node.Content {
			if node.Kind == yaml.MappingNode && i%2 == 0 {
				c.Content[i] = child // keys are words, not values
				continue
			}
			c.Content[i] = s.fill(r, child)
		}
		return &c
	}
	if m := wholeForm.FindStringSubmatch(node.Value); m != nil {
		value := s.lookup(r, node, m[1])
		if value == nil {
			return &c
		}
		return r.moved(value, node)
	}
	if !strings.Contains(node.Value, "$(") {
		return &c
	}
	c.Value = variableForm.ReplaceAllStringFunc(node.Value, func(use string) string {
		if strings.HasPrefix(use, "$$") {
			return use[1:]
		}
		value := s.lookup(r, node, use[2:len(use)-1])
		switch {
		case value == nil:
			return use
		case value.Kind != yaml.ScalarNode:
			r.at(node, "use it alone, as a whole value", "%s is not plain text and cannot stand within one", use)
			return use
		case !r.spend(node, 0, len(value.Value)):
			return use
		}
		if r.fromEnv[value] {
			r.fromEnv[&c] = true
		}
		return value.Value
	})
	if node.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) == 0 {
		c.Tag = ""
		c.Tag = c.ShortTag() // the text may read as a number now
	}
	return &c
}

// environment begins the names of variables of the environment.
const environment = "env:"

// fromEnvironment gives the value of a variable of the environment, which is taken for a secret.
func (r *reporter) fromEnvironment(use *yaml.Node, name string) *yaml.Node {
	value := os.Getenv(name)
	if value == "" {
		r.at(use, "", "the environment has no variable %s, or it is empty", strconv.Quote(name))
		return nil
	}
	r.secrets.Add(value, "$("+environment+name+")")
	node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: value, Line: use.Line, Column: use.Column}
	r.fromEnv[node] = true
	return node
}

// hasEnvironment tells whether a value from the environment is part of a node.
func (r *reporter) hasEnvironment(node *yaml.Node) bool {
	return node != nil && (r.fromEnv[node] || slices.ContainsFunc(node.Content, r.hasEnvironment))
}

// keepSecrets refuses values from the environment where they would be shown or stored: in parameters of type t
// that are not secret. Of those that are, it notes the values, so that no message shows them.
func (r *reporter) keepSecrets(t reflect.Type, node *yaml.Node, path string) {
	join := func(step string) string {
		if path == "" || strings.HasPrefix(step, "[") {
			return path + step
		}
		return path + "." + step
	}
	switch {
	case node == nil:
	case node.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			r.keepSecrets(t, node.Content[i+1], join(node.Content[i].Value))
		}
	case node.Kind == yaml.SequenceNode:
		for i, child := range node.Content {
			r.keepSecrets(t, child, join(fmt.Sprintf("[%d]", i)))
		}
	case r.fromEnv[node] && !params.MayBeSecret(t, path):
		r.at(node, "", "%s: a value from the environment is taken for a secret, and this parameter is stored and shown", path)
	case params.IsSecret(t, path) && !strings.Contains(node.Value, "$("): // which is a variable that there is not
		r.secrets.Add(node.Value, "(secret)")
	}
}

func (s scopes) find(name string) (*yaml.Node, bool) {
	for _, one := range slices.Backward(s) {
		if value, ok := one[name]; ok {
			return value, true
		}
	}
	return nil, false
}

// names are all names, sorted.
func (s scopes) names() (names []string) {
	for _, one := range s {
		names = slices.AppendSeq(names, maps.Keys(one))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// lookup finds a variable, or a field of one: axis.field; or a variable of the environment.
func (s scopes) lookup(r *reporter, use *yaml.Node, name string) *yaml.Node {
	if name, ok := strings.CutPrefix(name, environment); ok {
		return r.fromEnvironment(use, name)
	}
	head, rest, _ := strings.Cut(name, ".")
	if r.lookedUp != nil {
		r.lookedUp[head] = true
	}
	value, ok := s.find(head)
	if !ok {
		hint := ""
		if !r.full() { // a hint may take long
			known := s.names()
			if hint = params.DidYouMean(head, known); len(known) == 0 {
				hint = "declare it under vars:"
			}
		}
		r.at(use, hint, "there is no variable %q", head)
		if r.undefined == nil {
			r.undefined = map[place]bool{}
		}
		if use.Line > 0 {
			r.undefined[place{use.Line, use.Column}] = true
		}
		return nil
	}
	for _, step := range strings.Split(rest, ".") {
		if step == "" {
			break
		}
		child := params.Locate(value, step)
		if child == value {
			r.at(use, "", "variable %q has no field %q", head, step)
			return nil
		}
		value = child
	}
	return value
}

// moved copies a value to where it is used.
func (r *reporter) moved(value, use *yaml.Node) *yaml.Node {
	c := *value
	c.Line, c.Column = use.Line, use.Column
	if r.fromEnv[value] {
		r.fromEnv[&c] = true
	}
	if !r.spend(use, 1, len(value.Value)) {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: use.Line, Column: use.Column}
	}
	c.Content = make([]*yaml.Node, len(value.Content))
	for i, child := range value.Content {
		c.Content[i] = r.moved(child, use)
	}
	return &c
}
