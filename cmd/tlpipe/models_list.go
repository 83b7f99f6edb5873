package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/bench"
	"github.com/tlpipe/tlpipe/internal/console"
)

// listed is a backbone in the list.
type listed struct {
	backbone.Description
	Layers          *struct{} `json:"layers,omitempty"` // `models show` has them
	ImagesPerSecond float64   `json:"images_per_second,omitempty"`
}

// benchedAtOnce is how many pictures --bench computes at once.
const benchedAtOnce = 8

func (p *program) modelsListCommand() *cobra.Command {
	var asJSON, measure, aliases, encoders bool
	c := &cobra.Command{
		Use:   "list [NAME…]",
		Short: "Compare the backbones and their weights",
		Long: `Compare backbones and their weights: one line per weight set, the backbone's default
first. PARAMETERS are the trainable ones and NO TOP those without the classifier, as
the framework that the weights come from counts them. LAYERS have weights; GMAC are
10⁹ multiply-adds for one image of the size INPUT. TOP-1 and TOP-5 are the published
accuracy on ImageNet in percent; FIGURES says where it was published.

With --encoders, list text encoders instead: those on the Hugging Face hub that have a
name here, or those in the folders that are named. FEATURES is the length of a text's
vector, TOKENS the greatest number of tokens of a text, GMAC is for a text of 128 tokens.`,
		Example: `  tlpipe models list
  tlpipe models list --bench mobilenet_v2 resnet50
  tlpipe models list --encoders`,
		RunE: func(c *cobra.Command, names []string) error {
			if encoders {
				if measure || aliases {
					return usage("--bench and --aliases are for backbones: `tlpipe bench encode` measures text encoders")
				}
				return p.listEncoders(names, asJSON)
			}
			chosen, err := findBackbones(names)
			if err != nil {
				return err
			}
			if aliases {
				return p.printAliases(chosen, asJSON)
			}
			var all []listed
			for _, b := range chosen {
				d, err := b.Describe(0, 0)
				if err != nil {
					return err
				}
				l := listed{Description: d}
				if measure && !b.AnyPixels { // which is no network
					if l.ImagesPerSecond, err = p.imagesPerSecond(c.Context(), b.Name); err != nil {
						return err
					}
				}
				all = append(all, l)
			}
			if asJSON {
				return p.out.JSON().Encode(all)
			}
			return p.printBackbones(all, measure)
		},
	}
	c.ValidArgsFunction = completeBackbones
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&aliases, "aliases", false, "list the names that Keras, timm and torchvision use; all are accepted")
	c.Flags().BoolVar(&encoders, "encoders", false, "list text encoders")
	c.Flags().BoolVar(&measure, "bench", false,
		fmt.Sprintf("measure the throughput of each in images per second, %d per batch, float32", benchedAtOnce))
	return c
}

// aliased is a backbone in the list of aliases.
type aliased struct {
	Name    string           `json:"name"`
	Aliases []backbone.Alias `json:"aliases"`
}

// printAliases lists the other names of backbones.
func (p *program) printAliases(chosen []backbone.Backbone, asJSON bool) error {
	var all []aliased
	table := console.NewTable("BACKBONE", "WEIGHTS", "ALSO WRITTEN")
	for _, b := range chosen {
		all = append(all, aliased{b.Name, b.Aliases()})
		names := map[string][]string{}
		var sets []string
		for _, a := range b.Aliases() {
			if names[a.Set] == nil {
				sets = append(sets, a.Set)
			}
			names[a.Set] = append(names[a.Set], a.Name)
		}
		slices.Sort(sets)
		for i, set := range sets {
			name := b.Name
			if i > 0 {
				name = ""
			}
			table.Row(name, set, strings.Join(names[set], ", "))
		}
	}
	if asJSON {
		return p.out.JSON().Encode(all)
	}
	return table.Fit(p.out.File).Write(p.out, "")
}

// findBackbones returns the backbones of those names, or all of them.
func findBackbones(names []string) ([]backbone.Backbone, error) {
	if len(names) == 0 {
		return backbone.All(), nil
	}
	var found []backbone.Backbone
	for _, name := range names {
		b, err := backbone.Find(name)
		if err != nil {
			return nil, usage("%w", err)
		}
		found = append(found, b)
	}
	return found, nil
}

// imagesPerSecond measures the extraction of features by a backbone on this machine.
func (p *program) imagesPerSecond(ctx context.Context, name string) (float64, error) {
	fmt.Fprintf(p.err, "measuring %s\n", name)
	measured, err := bench.Extract{
		Backbone: name, Weights: backbone.RandomWeights, Batch: benchedAtOnce, Threads: runtime.NumCPU(), WarmUp: 1, Repeat: 3,
	}.Measure(ctx)
	if err != nil {
		return 0, fmt.Errorf("measure %s: %w", name, err)
	}
	return measured.ImagesPerSecond, nil
}

// printBackbones prints the table. What is the same as in the line above is left out.
func (p *program) printBackbones(all []listed, measured bool) error {
	heads := []string{"BACKBONE", ">FEATURES"}
	if measured {
		heads = append(heads, ">PICTURES/S")
	}
	table := console.NewTable(append(heads, "WEIGHTS", "VARIANT", ">INPUT", ">PARAMETERS", ">NO TOP", ">LAYERS", ">GMAC",
		">TOP-1", ">TOP-5", "LICENCE", "HERE", "FIGURES")...).Fit(p.out.File)
	for _, b := range all {
		row := []string{b.Name, console.Count(int64(b.Features))}
		switch {
		case b.ImagesPerSecond > 0:
			row = append(row, fmt.Sprintf("%.1f", b.ImagesPerSecond))
		case measured:
			row = append(row, "")
		}
		if len(b.Weights) == 0 {
			table.Row(append(row, "", "", pixels(b.Width, b.Height), console.Count(b.Parameters))...)
			continue
		}
		var above backbone.Sizes
		for _, w := range b.Weights {
			here := ""
			if w.Here {
				here = "yes"
			}
			row = append(row, w.Name, w.Variant, pixels(w.Preprocessing.Width, w.Preprocessing.Height))
			if w.Sizes == above {
				row = append(row, "", "", "", "")
			} else {
				row = append(row, console.Count(w.Parameters), console.Count(w.TrunkParameters), fmt.Sprint(w.Depth), fmt.Sprintf("%.2f", float64(w.MultiplyAdds)/1e9))
			}
			table.Row(append(row, accuracy(w.Top1), accuracy(w.Top5), w.Licence, here, w.Figures)...)
			row, above = make([]string, len(heads)), w.Sizes
		}
	}
	return table.Write(p.out, "")
}

func pixels(width, height int) string { return fmt.Sprintf("%d×%d", width, height) }

// accuracy is a percentage to a tenth, or nothing.
func accuracy(percent float64) string {
	if percent == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f", percent)
}
