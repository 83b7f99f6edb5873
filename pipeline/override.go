package pipeline

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Override sets a value from outside the YAML: Path is stage.param (and
// deeper), vars.name, seed or name; Value is YAML.
type Override struct{ Path, Value string }

// apply writes the override into the document. What is wrong with it is told
// as a problem without a place.
func (o Override) apply(r *reporter, root *yaml.Node) {
	if strings.TrimSpace(o.Value) == "" {
		r.place(0, 0, "", "set "+o.Path+": there is no value")
		return
	}
	var value yaml.Node
	if err := yaml.Unmarshal([]byte(o.Value), &value); err != nil || len(value.Content) != 1 {
		r.place(0, 0, "", "set "+o.Path+": the value is not valid YAML: "+o.Value)
		return
	}
	steps := strings.Split(o.Path, ".")
	switch steps[0] {
	case "seed", "name", "on_error", "max_rejects":
	case "vars":
		var known []string
		if vars := params.Locate(root, "vars"); vars != root {
			known = keysOf(vars)
		}
		if len(steps) > 1 && !slices.Contains(known, steps[1]) && !mentions(root, steps[1]) {
			r.place(0, 0, params.DidYouMean(steps[1], known), "set "+o.Path+": the pipeline has no variable "+steps[1])
			return
		}
	default:
		stages := params.Locate(root, "stages")
		if stages == root || !slices.Contains(keysOf(stages), steps[0]) {
			r.place(0, 0, params.DidYouMean(steps[0], keysOf(stages)), "set "+o.Path+": there is no stage "+steps[0])
			return
		}
		if len(steps) == 1 {
			r.place(0, 0, "such as "+o.Path+".epochs=10", "set "+o.Path+": name a parameter too")
			return
		}
		steps = slices.Concat([]string{"stages", steps[0], "with"}, steps[1:])
	}
	clearPlaces(value.Content[0])
	if whole := r.put(root, steps, value.Content[0]); whole != "" {
		r.place(0, 0, "set it where "+whole+" is declared", "set "+o.Path+": the variable "+whole+" stands for all of it")
	}
}

// put sets the value at a path of keys, making mappings on the way. A variable
// of the document that is a mapping is written out where it stands, so that
// one of its values can be set; any other is returned and nothing is set.
func (r *reporter) put(root *yaml.Node, steps []string, value *yaml.Node) (variable string) {
	node := root
	for _, step := range steps {
		if m := wholeForm.FindStringSubmatch(node.Value); m != nil && node.Kind == yaml.ScalarNode {
			declared := params.Locate(root, "vars."+m[1])
			if declared.Kind != yaml.MappingNode || declared == params.Locate(root, "vars") {
				return m[0]
			}
			*node = *r.moved(declared, node)
		}
		if node.Kind != yaml.MappingNode {
			*node = yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: node.Line, Column: node.Column}
		}
		child := params.Locate(node, step)
		if child == node {
			child = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
			node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: step, Line: fromOutside}, child)
		}
		node = child
	}
	*node = *value
	return ""
}

// mentions tells whether $(name) stands somewhere below node.
func mentions(node *yaml.Node, name string) bool {
	for _, m := range variableForm.FindAllStringSubmatch(node.Value, -1) {
		if m[1] == name {
			return true
		}
	}
	return slices.ContainsFunc(node.Content, func(child *yaml.Node) bool { return mentions(child, name) })
}

// fromOutside is the line of nodes that are not in the file.
const fromOutside = -1

func clearPlaces(node *yaml.Node) {
	node.Line, node.Column = fromOutside, 0
	for _, child := range node.Content {
		clearPlaces(child)
	}
}

func keysOf(node *yaml.Node) []string {
	var out []string
	for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
		out = append(out, node.Content[i].Value)
	}
	return out
}
