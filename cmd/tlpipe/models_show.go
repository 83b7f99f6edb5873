package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/record"
)

func (p *program) modelsShowCommand() *cobra.Command {
	var (
		asJSON, layers bool
		size, depth    int
		variant        string
	)
	c := &cobra.Command{
		Use:   "show NAME",
		Short: "Describe a backbone: weights, licence, origin, layers",
		Long: `Describe a backbone: its weights, their licence and origin, and the tree of its
blocks and layers. The names in the tree are those that pipelines use:
'layer: layer3' extracts the output of a block.

NAME may also be the folder of a text encoder, or one that 'models list --encoders' lists.`,
		Example: `  tlpipe models show resnet50
  tlpipe models show resnet50 --depth 3 --size 160
  tlpipe models show resnet50 --variant keras --layers
  tlpipe models show models/all-MiniLM-L6-v2`,
		Args: one("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			if d, about, found, err := findEncoder(args[0]); err != nil {
				return err
			} else if found {
				for _, flag := range []string{"size", "variant", "depth", "layers"} {
					if c.Flags().Changed(flag) {
						return usage("--%s is for backbones, not for text encoders", flag)
					}
				}
				if asJSON {
					return p.out.JSON().Encode(d)
				}
				return p.printEncoder(d, about)
			}
			b, err := backbone.Name(args[0]).Backbone()
			if unknown := new(backbone.UnknownError); errors.As(err, &unknown) {
				return usage("%w", err)
			}
			if err != nil {
				return err
			}
			if b, err = b.As(variant); err != nil {
				return usage("--variant: %w", err)
			}
			if depth < 0 {
				return usage("--depth %d: want 0 or more", depth)
			}
			if b.Spelled && size == 0 {
				size = spelledSize
			}
			d, err := b.Describe(size, size)
			if err != nil {
				return usage("%w", err)
			}
			if asJSON {
				return p.out.JSON().Encode(d)
			}
			if layers {
				depth = math.MaxInt
			}
			return p.printBackbone(d, depth, b.Spelled)
		},
		ValidArgsFunction: completeBackbones,
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().IntVar(&size, "size", 0, "describe it for images of another height and width, in `pixels`")
	c.Flags().StringVar(&variant, "variant", "", "describe it as the `framework` builds it")
	c.Flags().IntVar(&depth, "depth", 1, "`levels` of the tree to print: 0 for none")
	c.Flags().BoolVar(&layers, "layers", false, "the whole tree, down to every layer")
	return c
}

// spelledSize is the height and width in pixels that networks without a size of their own are described for: that of tutorials.
const spelledSize = 32

// printBackbone prints a description. A network that is spelled out has neither a paper, nor weights, nor a size of its own.
func (p *program) printBackbone(d backbone.Description, depth int, spelled bool) error {
	if spelled {
		fmt.Fprintf(p.out, "%s: a network spelled out layer by layer, with random weights\n\n", d.Name)
	} else {
		fmt.Fprintf(p.out, "%s: %s\n%s\n\n", d.Name, d.Title, d.Paper)
	}
	table := console.NewTable("", "").Fit(p.out.File)
	if len(d.Variants) > 1 {
		table.Row("variant", d.Variant+" (there are: "+strings.Join(d.Variants, ", ")+")")
	}
	if spelled {
		table.Row("input", pixels(d.Width, d.Height)+" pixels here; other sizes with --size")
	} else {
		table.Row("input", pixels(d.Width, d.Height)+" pixels, "+prepared(d.Preprocessing))
	}
	table.Row("features", console.Count(int64(d.Features)))
	table.Row("parameters", console.Count(d.Parameters)+", "+console.Count(d.TrunkParameters)+" without the classifier")
	if d.Statistics > 0 {
		table.Row("statistics", console.Count(d.Statistics)+" running means and variances; Keras counts them as parameters")
	}
	table.Row("multiply-adds", console.Count(d.MultiplyAdds)+" a picture")
	table.Row("depth", console.Of(int64(d.Depth), "layer")+" with weights")
	if err := table.WriteBody(p.out, ""); err != nil {
		return err
	}
	for _, w := range d.Weights {
		if err := p.printWeights(d, w); err != nil {
			return err
		}
	}
	if depth == 0 {
		return nil
	}
	tree := console.NewTable("LAYER", "OP", "OUTPUT", ">PARAMETERS", ">MULTIPLY-ADDS")
	for _, l := range d.Tree(depth) {
		indent := strings.Repeat("  ", strings.Count(l.Name, "."))
		tree.Row(indent+l.Name, l.Op, l.Output.String(), console.Count(l.Parameters), console.Count(l.MultiplyAdds))
	}
	fmt.Fprintln(p.out)
	return tree.Write(p.out, "")
}

func (p *program) printWeights(d backbone.Description, w backbone.WeightsDescription) error {
	fmt.Fprintf(p.out, "\nweights %s", w.Name)
	if !w.Here {
		fmt.Fprint(p.out, " (to be fetched)")
	}
	fmt.Fprintln(p.out)
	table := console.NewTable("", "").Fit(p.out.File)
	if w.Variant != d.Variants[0] {
		table.Row("variant", w.Variant)
	}
	if w.Top1 > 0 {
		figures := "top-1 " + percent(w.Top1)
		if w.Top5 > 0 {
			figures += ", top-5 " + percent(w.Top5)
		}
		table.Row("ImageNet", figures+" ("+w.Figures+")")
	}
	if w.Preprocessing != d.Preprocessing {
		table.Row("input", pixels(w.Preprocessing.Width, w.Preprocessing.Height)+" pixels, "+prepared(w.Preprocessing)+"; for: "+w.Preprocessing.For)
	}
	table.Row("licence", w.Licence)
	table.Row("from", w.Provenance)
	if w.URL != "" {
		table.Row("file", w.URL)
	}
	switch {
	case len(w.Digest) == 64:
		table.Row("SHA-256", w.Digest)
	case w.Digest != "":
		table.Row("SHA-256", w.Digest+"… (only these digits are published)")
	}
	if w.MD5 != "" {
		table.Row("MD5", w.MD5)
	}
	return table.WriteBody(p.out, "  ")
}

// prepared tells how pixels are prepared.
func prepared(p record.Preprocessing) string {
	return fmt.Sprintf("%s, %s filter, %s, mean %v, std %v", resizeWords(p.Resize, p.ResizeTo), p.Filter, p.Channels, p.Mean, p.Std)
}

func percent(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) + "%" }

func resizeWords(rule string, to int) string {
	if rule == "shortest" {
		return fmt.Sprintf("centre crop after scaling the shorter side to %d", to)
	}
	return rule
}
