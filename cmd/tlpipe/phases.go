package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// readPhases finds the phases of a training among its outputs; nil if there
// are none.
func readPhases(ctx context.Context, n *pipeline.NodeResult) (phases []record.PhaseLayers, err error) {
	err = eachTable(ctx, n, func(_ *arrow.Schema, rows []record.PhaseLayers) error {
		phases = append(phases, rows...)
		return nil
	})
	return phases, err
}

// printTrainings tells in a line a phase what the trainings of this run did;
// those that were at hand are left out.
func printTrainings(ctx context.Context, out *console.Output, result *pipeline.Result) error {
	table := console.NewTable("TRAINING", "PHASE", "EPOCHS", ">RATE", ">TRAINED", ">SHARE", "EPOCHS START FROM").Fit(out.File)
	for _, n := range result.Nodes {
		if n.Ended.ChunksComputed == 0 || n.Outputs == nil {
			continue
		}
		rows, err := readPhases(ctx, n)
		if err != nil {
			return err
		}
		for _, phase := range record.ByPhase(rows) {
			trained, all := parametersOf(phase)
			table.Row(n.Node.Name, phase[0].Phase, epochsOf(phase[0]), ratesOf(phase),
				console.Count(trained), fmt.Sprintf("%.3g%%", 100*float64(trained)/float64(max(all, 1))), startOf(phase[0]))
		}
	}
	if table.Len() == 0 {
		return nil
	}
	fmt.Fprintln(out)
	return table.Write(out, "")
}

// printPhases shows a phases table: what holds for a phase above what was done
// with its layers.
func printPhases(out io.Writer, rows []record.PhaseLayers) error {
	for _, phase := range record.ByPhase(rows) {
		p := phase[0]
		trained, all := parametersOf(phase)
		fmt.Fprintf(out, "\nphase %d: %s\n", p.Number, console.Line(p.Phase))
		fmt.Fprintf(out, "  epochs   %s, of %s\n", epochsOf(p), console.Of(p.Rows, "row"))
		fmt.Fprintf(out, "  trained  %s of %s\n", console.Count(trained), console.Of(all, "parameter"))
		fmt.Fprintf(out, "  start    %s\n", startOf(p))
		if p.Why != "" {
			fmt.Fprintf(out, "  why      %s\n", strings.ReplaceAll(console.Wrap(console.Line(p.Why), 80), "\n", "\n           "))
		}
		table := console.NewTable("LAYERS", ">PARAMETERS", ">TRAINED", ">RATE", "NORMS", "WEIGHTS BEFORE", "AND AFTER")
		for _, row := range phase {
			after := digestInShort(row.After)
			if row.Before == row.After {
				after = "the same"
			}
			table.Row(row.Layers, console.Count(row.Parameters), console.Count(row.Trained), rate(row.Rate), row.BatchNorm, digestInShort(row.Before), after)
		}
		if err := table.Write(out, "  "); err != nil {
			return err
		}
	}
	return nil
}

func parametersOf(phase []record.PhaseLayers) (trained, all int64) {
	for _, row := range phase {
		trained += row.Trained
		all += row.Parameters
	}
	return trained, all
}

func epochsOf(p record.PhaseLayers) string {
	text := strconv.Itoa(int(p.Epochs))
	if p.Stopped {
		text += ", stopped early"
	}
	if p.KeptEpoch != p.Epochs {
		text += fmt.Sprintf(", kept %d", p.KeptEpoch)
	}
	return text
}

// ratesOf is the learning rate of a phase, or the least and the largest.
func ratesOf(phase []record.PhaseLayers) string {
	var rates []float64
	for _, row := range phase {
		if row.Trained > 0 {
			rates = append(rates, row.Rate)
		}
	}
	if len(rates) == 0 {
		return "-"
	}
	least, most := slices.Min(rates), slices.Max(rates)
	if least == most {
		return rate(most)
	}
	return rate(least) + " to " + rate(most)
}

func rate(x float64) string {
	if math.IsNaN(x) {
		return "-"
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}

func startOf(p record.PhaseLayers) string {
	if p.Prefix == "" {
		return "the input"
	}
	return fmt.Sprintf("%s: %s cached, %s of %s", p.Prefix, console.Of(p.PrefixRows, "row"), console.Bytes(p.PrefixSize), p.PrefixType)
}

func digestInShort(digest string) string { return digest[:min(len(digest), 10)] }
