package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/console"
)

func (p *program) modelsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "models",
		Short: "See the pre-trained backbones",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(p.modelsListCommand(), p.modelsShowCommand())
	return c
}

func (p *program) modelsListCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the backbones",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			var all []backbone.Description
			for _, b := range backbone.All() {
				d, err := b.Describe(0, 0)
				if err != nil {
					return err
				}
				d.Layers = nil // `models show` has them
				all = append(all, d)
			}
			if asJSON {
				return json.NewEncoder(p.out).Encode(all)
			}
			table := console.NewTable("BACKBONE", ">INPUT", ">FEATURES", ">PARAMETERS", ">GMAC", "WEIGHTS", ">TOP-1", "BUILT IN")
			for _, d := range all {
				weights, top1, here := "", "", ""
				for i, w := range d.Weights {
					if i > 0 {
						weights += ", "
					}
					weights += w.Name
					if w.Top1 > 0 && top1 == "" {
						top1 = fmt.Sprintf("%.1f%%", w.Top1)
					}
					if w.Here {
						here = "yes"
					}
				}
				table.Row(d.Name, fmt.Sprintf("%d×%d", d.Width, d.Height), console.Count(int64(d.Features)),
					millions(d.Parameters), fmt.Sprintf("%.2f", float64(d.MultiplyAdds)/1e9), weights, top1, here)
			}
			return table.Write(p.out, "")
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (p *program) modelsShowCommand() *cobra.Command {
	var (
		asJSON bool
		size   int
		layers bool
	)
	c := &cobra.Command{
		Use:   "show NAME",
		Short: "Tell all about a backbone: weights, their licence and origin, layers",
		Args:  one("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			b, err := backbone.Find(args[0])
			if unknown := new(backbone.UnknownError); errors.As(err, &unknown) {
				return usage("%w", err)
			}
			if err != nil {
				return err
			}
			d, err := b.Describe(size, size)
			if err != nil {
				return usage("%w", err)
			}
			if asJSON {
				return json.NewEncoder(p.out).Encode(d)
			}
			return p.printBackbone(d, layers)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var known []string
			for _, b := range backbone.All() {
				known = append(known, b.Name)
			}
			return known, cobra.ShellCompDirectiveNoFileComp
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().IntVar(&size, "size", 0, "describe it for pictures of another height and width, in `pixels`")
	c.Flags().BoolVar(&layers, "layers", false, "list every layer")
	return c
}

func (p *program) printBackbone(d backbone.Description, layers bool) error {
	pre := d.Preprocessing
	fmt.Fprintf(p.out, "%s: %s\n%s\n\n", d.Name, d.Title, d.Paper)
	table := console.NewTable("", "").Fit(p.out)
	table.Row("input", fmt.Sprintf("%d×%d pixels, %s, %s filter, %s, mean %v, std %v", d.Width, d.Height, resizeWords(pre.Resize, pre.ResizeTo), pre.Filter, pre.Channels, pre.Mean, pre.Std))
	table.Row("features", console.Count(int64(d.Features)))
	table.Row("parameters", console.Count(d.Parameters)+", "+console.Count(d.TrunkParameters)+" without the classifier")
	table.Row("multiply-adds", console.Count(d.MultiplyAdds)+" a picture")
	table.Row("depth", console.Of(int64(d.Depth), "layer")+" with weights")
	if err := table.WriteBody(p.out, ""); err != nil {
		return err
	}
	for _, w := range d.Weights {
		fmt.Fprintf(p.out, "\nweights %s", w.Name)
		if !w.Here {
			fmt.Fprint(p.out, " (to be fetched)")
		}
		fmt.Fprintln(p.out)
		table := console.NewTable("", "").Fit(p.out)
		if w.Top1 > 0 {
			figures := "top-1 " + percent(w.Top1)
			if w.Top5 > 0 {
				figures += ", top-5 " + percent(w.Top5)
			}
			table.Row("ImageNet", figures+" ("+w.Figures+")")
		}
		table.Row("licence", w.Licence)
		table.Row("from", w.Provenance)
		table.Row("SHA-256", w.Digest)
		if err := table.WriteBody(p.out, "  "); err != nil {
			return err
		}
	}
	if !layers {
		return nil
	}
	list := console.NewTable("LAYER", "OP", "OUTPUT", ">PARAMETERS", ">MULTIPLY-ADDS")
	for _, l := range d.Layers {
		list.Row(l.Name, l.Op, fmt.Sprint([]int(l.Output)), console.Count(l.Parameters), console.Count(l.MultiplyAdds))
	}
	fmt.Fprintln(p.out)
	return list.Write(p.out, "")
}

func percent(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) + "%" }

func millions(n int64) string {
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("%.1f M", float64(n)/1e6)
}

func resizeWords(rule string, to int) string {
	if rule == "shortest" {
		return fmt.Sprintf("cut from the centre after the shorter side is scaled to %d", to)
	}
	return rule
}
