package pipeline

import (
	"fmt"
	"strings"

	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Find returns the node and the output port that a reference means: stage or
// stage[axis=value,…], with .port or without. Without, it is the first port of
// the kind asked for, or the first port if kind is "". A reference that means
// nothing, or several nodes, is a *UsageError that lists what there is.
func (g *Graph) Find(reference string, kind PortKind) (*Node, Port, error) {
	ref, err := parseReference(reference)
	if err != nil {
		return nil, Port{}, &UsageError{err.Error()}
	}
	var nodes []*Node
	var names, instances []string
	for _, n := range g.Nodes {
		if len(names) == 0 || names[len(names)-1] != n.Declared.Name {
			names = append(names, n.Declared.Name)
		}
		if n.Declared.Name != ref.Stage {
			continue
		}
		instances = append(instances, n.Name)
		if fitsAll(ref.Coordinates, n.Coordinates) {
			nodes = append(nodes, n)
		}
	}
	switch {
	case len(instances) == 0:
		return nil, Port{}, &UsageError{fmt.Sprintf("there is no stage %q (%s)", ref.Stage, params.DidYouMean(ref.Stage, names))}
	case len(nodes) == 0:
		return nil, Port{}, &UsageError{fmt.Sprintf("stage %s has no instance [%s]; it has %s", ref.Stage, ref.Coordinates, strings.Join(instances, ", "))}
	case len(nodes) > 1:
		return nil, Port{}, &UsageError{fmt.Sprintf("stage %s has several instances: say which of %s", ref.Stage, strings.Join(instances, ", "))}
	}
	port, err := nodes[0].port(ref.Port, kind)
	return nodes[0], port, err
}

// port returns the output of that name or, without a name, of that kind.
func (n *Node) port(name string, kind PortKind) (Port, error) {
	ports := append(n.Kind.Outputs[:len(n.Kind.Outputs):len(n.Kind.Outputs)],
		Port{Name: RejectsPort, Kind: Metrics, Doc: "rows that could not be used, and why"})
	for _, p := range ports {
		if p.Name == name || name == "" && (kind == "" || p.Kind == kind) {
			if kind != "" && p.Kind != kind {
				return Port{}, &UsageError{fmt.Sprintf("stage %s: output %s is %s, not %s", n.Name, p.Name, p.Kind, kind)}
			}
			return p, nil
		}
	}
	if name != "" {
		return Port{}, &UsageError{fmt.Sprintf("stage %s (%s) has no output %q (%s)", n.Name, n.Kind.Name, name, params.DidYouMean(name, portNames(ports)))}
	}
	return Port{}, &UsageError{fmt.Sprintf("stage %s (%s) has no output that is %s; it gives %s", n.Name, n.Kind.Name, kind, portList(n.Kind.Outputs))}
}
