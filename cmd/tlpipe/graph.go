package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/report"
	"github.com/tlpipe/tlpipe/pipeline"
)

// graphFormats are the ways to draw a pipeline.
func graphFormats() map[string]func(io.Writer, *pipeline.Graph) error {
	return map[string]func(io.Writer, *pipeline.Graph) error{
		"text": textGraph, "dot": dotGraph, "mermaid": mermaidGraph, "svg": svgGraph,
	}
}

func (p *program) graphCommand() *cobra.Command {
	var (
		file   pipelineFlags
		format string
	)
	c := &cobra.Command{
		Use:     "graph FILE",
		Short:   "Draw a pipeline",
		Example: "  tlpipe graph pipeline.yaml\n  tlpipe graph pipeline.yaml --format svg >pipeline.svg",
		Args:    one("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			draw, ok := graphFormats()[format]
			if !ok {
				return usage("--format %s: expected text, dot, mermaid or svg", format)
			}
			graph, err := p.load(args[0], file)
			if err != nil {
				return err
			}
			return draw(p.out, graph)
		},
	}
	file.add(c)
	c.Flags().StringVar(&format, "format", "text", "text, dot, mermaid or svg")
	return c
}

func textGraph(w io.Writer, g *pipeline.Graph) error {
	table := console.NewTable("STAGE", "USES", "FROM", "GIVES")
	for _, n := range g.Nodes {
		var from, gives []string
		for _, e := range n.Inputs {
			from = append(from, e.From.Name+"."+e.FromPort)
		}
		for _, port := range n.Kind.Outputs {
			gives = append(gives, port.Name)
		}
		table.Row(n.Name, n.Kind.Name, strings.Join(from, ", "), strings.Join(gives, ", "))
	}
	return table.Write(w, "")
}

func dotGraph(w io.Writer, g *pipeline.Graph) error {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %s {\n  rankdir=LR;\n  node [shape=box, style=rounded, fontname=sans];\n  edge [fontname=sans, fontsize=10];\n", dotText(g.Name))
	for _, n := range g.Nodes {
		fmt.Fprintf(&b, "  %s [label=%s];\n", dotText(n.Name), dotText(n.Name+"\n"+n.Kind.Name))
	}
	for _, n := range g.Nodes {
		for _, e := range n.Inputs {
			fmt.Fprintf(&b, "  %s -> %s [label=%s];\n", dotText(e.From.Name), dotText(n.Name), dotText(e.Port))
		}
	}
	b.WriteString("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// dotText is a string as Graphviz reads it.
func dotText(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

func mermaidGraph(w io.Writer, g *pipeline.Graph) error {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	id := func(n *pipeline.Node) string { return fmt.Sprintf("n%d", slices.Index(g.Nodes, n)) }
	for _, n := range g.Nodes {
		fmt.Fprintf(&b, "  %s[\"%s<br/><i>%s</i>\"]\n", id(n), mermaidText(n.Name), mermaidText(n.Kind.Name))
	}
	for _, n := range g.Nodes {
		for _, e := range n.Inputs {
			fmt.Fprintf(&b, "  %s -->|%s| %s\n", id(e.From), mermaidText(e.Port), id(n))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// mermaidText escapes what has a meaning in Mermaid's labels.
func mermaidText(s string) string {
	return strings.NewReplacer(`"`, "#quot;", "<", "#lt;", ">", "#gt;", "|", "#124;").Replace(s)
}

func svgGraph(w io.Writer, g *pipeline.Graph) error {
	nodes := make([]report.Node, len(g.Nodes))
	for i, n := range g.Nodes {
		nodes[i] = reportNode(n)
	}
	return report.Graph(w, nodes)
}
