package report

import (
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/pipeline/params"
)

// stageParams shows the parameters of a stage, all of its instances together.
type stageParams struct {
	Stage, Uses string
	Rows        []paramRow
	Nodes       []nodeDigests
}

// paramRow is one parameter: the values it has, and, where instances differ,
// which instances have them.
type paramRow struct {
	Path   string
	Values []paramValue
}

type paramValue struct {
	Text string
	Of   string // instances, "" if all have it
}

type nodeDigests struct {
	Name           string
	Recipe, Digest string
}

func newStageParams(nodes []Node) []stageParams {
	var out []stageParams
	for _, n := range nodes {
		i := slices.IndexFunc(out, func(s stageParams) bool { return s.Stage == n.Stage })
		if i < 0 {
			i = len(out)
			out = append(out, stageParams{Stage: n.Stage, Uses: n.Uses})
		}
		out[i].Nodes = append(out[i].Nodes, nodeDigests{n.Name, n.Recipe, n.Digest})
	}
	for i := range out {
		out[i].Rows = mergeParams(out[i].Stage, nodes)
	}
	return out
}

// mergeParams lists the parameters of a stage's instances by path.
func mergeParams(stage string, nodes []Node) []paramRow {
	var instances []Node
	var paths []string
	for _, n := range nodes {
		if n.Stage != stage {
			continue
		}
		instances = append(instances, n)
		for _, p := range n.Params {
			if !slices.Contains(paths, p.Path) {
				paths = append(paths, p.Path)
			}
		}
	}
	var rows []paramRow
	for _, path := range paths {
		row := paramRow{Path: path}
		of := map[string][]string{}
		for _, n := range instances {
			text := valueIn(n.Params, path)
			if of[text] == nil {
				row.Values = append(row.Values, paramValue{Text: text})
			}
			name := coordinatesInWords(n.Coordinates)
			if name == "" {
				name = n.Name
			}
			of[text] = append(of[text], name)
		}
		if len(row.Values) > 1 {
			for i := range row.Values {
				row.Values[i].Of = strings.Join(of[row.Values[i].Text], ", ")
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func valueIn(values []params.Value, path string) string {
	for _, v := range values {
		if v.Path == path {
			return v.Text
		}
	}
	return dash
}
