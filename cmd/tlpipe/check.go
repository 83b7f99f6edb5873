package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/check"
	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/npy"
)

func (p *program) modelsCheckCommand() *cobra.Command {
	var (
		k              check.Check
		weights        string
		input, expect  string
		texts, pooling string
		layout         string
		asJSON         bool
		required       = []string{"weights", "input", "expect"}
		toleranceUsage = "largest difference allowed, relative to the largest expected absolute value"
	)
	c := &cobra.Command{
		Use:   "check NAME --weights WEIGHTS --input x.npy --expect y.npy",
		Short: "Compare a backbone's outputs with its original framework's",
		Long: `Run a backbone on a batch of images, and compare the output of a layer with what the
framework that the weights come from computed for the same batch.

The batch is float32, as fed to the framework's network: [images, 3, height, width]
or [images, height, width, 3], saved with numpy.save. The expected output is
[images, channels], or feature maps in either layout. The exit code is 1 if the largest
difference is more than --tolerance allows.

Of a text encoder NAME is its folder, as on Hugging Face, and --texts a file with one
text per line; the expected output is [texts, width].`,
		Example: `  tlpipe models check resnet50 --weights resnet50-0676ba61.pth \
      --input batch.npy --expect features.npy
  tlpipe models check resnet50 --weights resnet50.weights.h5 \
      --input batch.npy --expect maps.npy --layer last
  tlpipe models check ./all-MiniLM-L6-v2 --texts lines.txt --expect vectors.npy`,
		Args: one("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			if texts != "" {
				required = []string{"expect"}
			} else if c.Flags().Changed("pooling") {
				return usage("--pooling is for text encoders: name the --texts too")
			}
			for _, flag := range required {
				if c.Flag(flag).Value.String() == "" {
					return usage("--%s is missing: %s", flag, c.UseLine())
				}
			}
			var err error
			if k.Layout, err = check.ParseLayout(layout); err != nil {
				return usage("--layout %s: %w", layout, err)
			}
			if !(k.Tolerance >= 0) {
				return usage("--tolerance %v: want 0 or more", k.Tolerance)
			}
			if k.Threads < 1 {
				return usage("--threads %d: want 1 or more", k.Threads)
			}
			wanted, err := npy.ReadFile(expect)
			if err != nil {
				return usage("--expect: %w", err)
			}
			if texts != "" {
				return p.checkTexts(c.Context(), check.Texts{Folder: args[0], Pooling: pooling, Layer: k.Layer, Tolerance: k.Tolerance, Threads: k.Threads}, texts, wanted, asJSON)
			}
			pictures, err := npy.ReadFile(input)
			if err != nil {
				return usage("--input: %w", err)
			}
			k.Backbone, k.Weights = args[0], backbone.WeightsReference(weights)
			result, err := k.Run(c.Context(), pictures, wanted, func(format string, args ...any) {
				fmt.Fprintln(p.err, console.Line(fmt.Sprintf(format, args...)))
			})
			if err != nil && c.Context().Err() == nil {
				return usage("%w", err)
			} else if err != nil {
				return err
			}
			return p.showCheck(result, asJSON)
		},
		ValidArgsFunction: completeBackbones,
	}
	f := c.Flags()
	f.StringVar(&weights, "weights", "", "`WEIGHTS` as in a pipeline: a file, or a weight set of the backbone")
	f.StringVar(&input, "input", "", "`x.npy`: the batch")
	f.StringVar(&texts, "texts", "", "`lines.txt`: of a text encoder, one text per line")
	f.StringVar(&pooling, "pooling", "auto", "of a text encoder: how one vector is made of those of the tokens, `auto` (as the folder says), mean, cls, max or last")
	f.StringVar(&expect, "expect", "", "`y.npy`: the framework's output")
	f.StringVar(&k.Layer, "layer", "pooled", "`layer` to compare: pooled, last, logits, or any other")
	f.StringVar(&layout, "layout", "", "`nchw` or nhwc, for arrays whose shape fits both")
	f.Float64Var(&k.Tolerance, "tolerance", 1e-4, toleranceUsage)
	f.BoolVar(&k.Plain, "plain", false, "compute 3×3 convolutions directly, without Winograd's method")
	f.IntVar(&k.Threads, "threads", runtime.NumCPU(), "number of `threads`")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// mostLines bounds a file with one text per line, in bytes.
const mostLines = 64 << 20

// checkTexts holds a text encoder against vectors of the lines of a file.
func (p *program) checkTexts(ctx context.Context, k check.Texts, file string, wanted npy.Array, asJSON bool) error {
	raw, err := budget.ReadFile(file, mostLines)
	if err != nil {
		return usage("--texts: %w", err)
	}
	result, err := k.Run(ctx, strings.Split(strings.TrimRight(string(raw), "\n"), "\n"), wanted)
	if err != nil {
		return usage("%w", err)
	}
	return p.showCheck(result, asJSON)
}

// showCheck prints what came of a check; disagreement is a failure.
func (p *program) showCheck(r *check.Result, asJSON bool) error {
	var err error
	if asJSON {
		err = p.out.JSON().Encode(r)
	} else {
		err = p.printCheck(r)
	}
	if err == nil && !r.Agrees {
		return &exitError{code: exitFailed}
	}
	return err
}

func (p *program) printCheck(r *check.Result) error {
	counted := console.Of(int64(r.Pictures), "picture")
	if r.Texts > 0 {
		counted = console.Of(int64(r.Texts), "text")
	}
	verdict := "agrees"
	if !r.Agrees {
		verdict = "does not agree"
	}
	name := r.Backbone
	if r.Variant != "" {
		name += fmt.Sprintf(" (as %s builds it)", r.Variant)
	}
	fmt.Fprintf(p.out, "%s, layer %s, %s: %s\n", name, r.Layer, counted, verdict)
	table := console.NewTable("", "").Fit(p.out.File)
	largest := fmt.Sprintf("%.3g", float64(r.Absolute))
	if r.Absolute > 0 {
		largest += fmt.Sprintf(", at %v: %.7g expected, %.7g computed", r.At, float64(r.Expected), float64(r.Computed))
	}
	table.Row("largest difference", largest)
	table.Row("of the largest value", fmt.Sprintf("%.3g, of %.7g; up to %g is allowed", float64(r.Relative), float64(r.Largest), r.Tolerance))
	if r.Probabilities {
		table.Row("hint", "probabilities are expected, but logits were computed: take the framework's output before its softmax")
	}
	return table.WriteBody(p.out, "  ")
}
