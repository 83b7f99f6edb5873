package main

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/bench"
	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/encoder"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
)

func (p *program) benchEncodeCommand() *cobra.Command {
	var (
		e         bench.Encode
		texts     string
		precision string
		asJSON    bool
	)
	c := &cobra.Command{
		Use:   "encode FOLDER",
		Short: "Measure a text encoder, in texts and tokens per second",
		Long: `Measure how many texts per second the text encoder in a folder turns into vectors: the
best of several runs after a warm-up, with texts already cut into tokens. Without
--texts, the texts are random tokens. Padding does not count as tokens.`,
		Example: `  tlpipe bench encode models/all-MiniLM-L6-v2 --texts lines.txt
  tlpipe bench encode models/bert-base-uncased --batch 16 --tokens 128 --threads 1`,
		Args: one("FOLDER"),
		RunE: func(c *cobra.Command, args []string) error {
			e.Folder = args[0]
			var err error
			if e.Precision, err = frozen.ParsePrecision(precision); err != nil {
				return usage("--precision: %w", err)
			}
			if texts != "" {
				raw, err := budget.ReadFile(texts, mostLines)
				if err != nil {
					return usage("--texts: %w", err)
				}
				e.Texts = strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
			}
			r, err := e.Measure(c.Context())
			if wrong := new(bench.RequestError); errors.As(err, &wrong) {
				return usage("%w", err)
			}
			if err != nil {
				return err
			}
			if asJSON {
				return p.out.JSON().Encode(r)
			}
			table := console.NewTable("TEXT ENCODER", "LAYER", "PRECISION", ">TEXTS", ">TOKENS", ">THREADS", ">TEXTS/S", ">TOKENS/S", ">MEDIAN", ">GFLOP/S", ">LOAD", ">WEIGHTS")
			table.Row(r.Encoder, r.Layer, r.Precision, console.Count(int64(r.Texts)), console.Count(int64(r.Tokens)), fmt.Sprint(r.Threads),
				fmt.Sprintf("%.1f", r.TextsPerSecond), fmt.Sprintf("%.0f", r.TokensPerSecond), fmt.Sprintf("%.0f", r.Median), fmt.Sprintf("%.0f", r.GFLOPS),
				fmt.Sprintf("%.2fs", r.Load), console.Bytes(int64(r.WeightBytes)))
			return table.Write(p.out, "")
		},
	}
	f := c.Flags()
	f.StringVar(&texts, "texts", "", "`lines.txt`: one text per line")
	f.IntVar(&e.Batch, "batch", 32, "number of random `texts`")
	f.IntVar(&e.Tokens, "tokens", 128, "`tokens` of each random text; of others, the most")
	f.StringVar(&e.Layer, "layer", encoder.Pooled, "the `layer` whose pooled vectors are computed")
	f.StringVar(&precision, "precision", frozen.Float32.String(), "arithmetic: fp32, bf16 or int8")
	f.IntVar(&e.Threads, "threads", runtime.NumCPU(), "number of `threads`")
	f.IntVar(&e.Repeat, "repeat", 5, "number of `runs`, of which the best is reported")
	f.Float64Var(&e.Seconds, "seconds", 0, "minimum `seconds` to measure; more runs if they take less")
	f.IntVar(&e.WarmUp, "warm-up", 1, "warm-up `runs`")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
