package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/bench"
	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/predict"
)

func (p *program) benchLatencyCommand() *cobra.Command {
	var (
		model  modelFlags
		l      bench.Latency
		asJSON bool
	)
	c := &cobra.Command{
		Use:   "latency --model FILE:STAGE|model.safetensors [IMAGE]",
		Short: "Measure a trained model, in milliseconds per image",
		Long: `Measure how long a trained model takes for one image, from the bytes of its file to
the prediction: the median and the slowest 5% and 1%, the parts of it, the time to
load the model, and how many images a second are classified side by side. Without an
IMAGE, a JPEG image of 640×480 pixels is used.`,
		Example: `  tlpipe bench latency --model pipeline.yaml:head
  tlpipe bench latency --model head.safetensors --threads 1 photo.jpg --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := model.check(); err != nil {
				return err
			}
			if len(args) == 1 {
				file, err := budget.ReadFile(args[0], predict.MaxFile)
				if err != nil {
					return usage("%s: %s", args[0], reasonOf(err))
				}
				l.Picture = file
			}
			l.Model, l.Weights = model.model, model.weights
			l.Read = func(ctx context.Context) (*classifier.Classifier, error) { return p.readModel(ctx, model) }
			result, err := l.Measure(c.Context())
			if wrong := new(bench.RequestError); errors.As(err, &wrong) {
				return usage("%w", err)
			}
			if err != nil {
				return fmt.Errorf("model %s: %w", model.model, err)
			}
			if asJSON {
				return p.out.JSON().Encode(result)
			}
			return p.printLatency(result)
		},
	}
	model.add(c)
	f := c.Flags()
	f.IntVar(&l.Threads, "threads", runtime.NumCPU(), "number of `threads`")
	f.IntVar(&l.Repeat, "repeat", 100, "number of `images`")
	f.Float64Var(&l.Seconds, "seconds", 0, "minimum `seconds` to measure; more images if they take less")
	f.IntVar(&l.WarmUp, "warm-up", 5, "warm-up `images`")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// printLatency tells a measurement in two tables.
func (p *program) printLatency(r *bench.LatencyResult) error {
	ms := func(seconds float64) string { return fmt.Sprintf("%.2f ms", 1e3*seconds) }
	times := console.NewTable("ONE IMAGE", ">MEDIAN", ">95%", ">99%")
	for _, line := range []struct {
		name string
		took bench.Percentiles
	}{{"file to prediction", r.Whole}, {"  decode and resize", r.Preparation}, {"  network", r.Network}} {
		times.Row(line.name, ms(line.took.P50), ms(line.took.P95), ms(line.took.P99))
	}
	if err := times.Write(p.out, ""); err != nil {
		return err
	}
	fmt.Fprintln(p.out)
	rest := console.NewTable("SIZE", ">THREADS", ">IMAGES/S", ">GFLOP/S", ">LOAD", ">COLD START", ">WEIGHTS", ">ACTIVATIONS")
	rest.Row(fmt.Sprintf("%d×%d", r.Width, r.Height), fmt.Sprint(r.Threads), fmt.Sprintf("%.1f", r.ImagesPerSecond), fmt.Sprintf("%.0f", r.GFLOPS),
		ms(r.Load), ms(r.Cold), console.Bytes(int64(r.WeightBytes)), console.Bytes(int64(r.ActivationBytes)))
	return rest.Write(p.out, "")
}
