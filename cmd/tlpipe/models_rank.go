package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/dataset"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transferability"
	"github.com/tlpipe/tlpipe/pipeline"
)

type rankFlags struct {
	file   pipelineFlags
	cached cacheFlag
	target string
	rows   int
	json   bool
}

func (p *program) modelsRankCommand() *cobra.Command {
	var f rankFlags
	c := &cobra.Command{
		Use:   "rank FILE:STAGE…",
		Short: "Rank backbones for your data before anything is trained",
		Long: `Score how well features suit your classes, without training: run the extract stages
with each backbone, and rank them here. Training rows and validation rows are used, test
rows never. A stage with a matrix stands for all its instances.

LOGME is the logarithm of the maximum evidence of a linear model, per row; H-SCORE
compares the spread of the class means with that of the features; LEEP is the likelihood
of the classes given what a classifier says, for features that are probabilities. Larger
is better in each. They rank backbones on the same rows, and say nothing about the accuracy.`,
		Example: `  tlpipe run pipeline.yaml --until features
  tlpipe models rank pipeline.yaml:features`,
		RunE: func(c *cobra.Command, args []string) error { return p.modelsRank(c.Context(), f, args) },
	}
	f.file.add(c)
	f.cached.add(c)
	c.Flags().StringVar(&f.target, "target", record.Label, "`column` with the classes")
	c.Flags().IntVar(&f.rows, "rows", 4000, "`how many` rows to use at most, drawn by a hash of their ids")
	c.Flags().BoolVar(&f.json, "json", false, "print one JSON object per line")
	return c
}

// ranked is a table of features that was scored: a line of `models rank --json`.
type ranked struct {
	Stage   string   `json:"stage"`
	Rows    int      `json:"rows"`
	Classes int      `json:"classes"`
	Width   int      `json:"features"`
	LogME   float64  `json:"logme"`
	HScore  float64  `json:"h_score"`
	LEEP    *float64 `json:"leep,omitempty"`
}

func (p *program) modelsRank(ctx context.Context, f rankFlags, args []string) error {
	switch {
	case len(args) == 0:
		return usage("name one or more stages with features: FILE:STAGE")
	case f.rows < 3:
		return usage("--rows %d: expected 3 or more", f.rows)
	}
	store, err := f.cached.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	pool := kernel.NewPool(runtime.GOMAXPROCS(0))
	defer pool.Close()
	var all []ranked
	for _, arg := range args {
		file, reference, ok := splitReference(arg)
		if !ok {
			return usage("%s: expected FILE:STAGE", arg)
		}
		graph, err := p.load(file, f.file)
		if err != nil {
			return err
		}
		references := []string{reference}
		if nodes := graph.Instances(reference); len(nodes) > 1 {
			references = nil
			for _, n := range nodes {
				references = append(references, n.Name)
			}
		}
		for _, reference := range references {
			artifact, err := p.stageArtifact(ctx, store, file, reference, f.file, pipeline.Features)
			if err != nil {
				return err
			}
			r, err := rank(ctx, pool, artifact, f)
			if err != nil {
				return fmt.Errorf("stage %s: %w", reference, err)
			}
			r.Stage = reference
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(a, b ranked) int { return cmp.Compare(b.LogME, a.LogME) })
	table := console.NewTable("STAGE", ">FEATURES", ">ROWS", ">CLASSES", ">LOGME", ">H-SCORE", ">LEEP")
	for _, r := range all {
		if f.json {
			if err := p.out.JSON().Encode(r); err != nil {
				return err
			}
			continue
		}
		leep := ""
		if r.LEEP != nil {
			leep = fmt.Sprintf("%.4f", *r.LEEP)
		}
		table.Row(r.Stage, console.Count(int64(r.Width)), console.Count(int64(r.Rows)), console.Count(int64(r.Classes)), fmt.Sprintf("%.4f", r.LogME), fmt.Sprintf("%.4f", r.HScore), leep)
	}
	if f.json {
		return nil
	}
	for _, r := range all {
		if r.Rows != all[0].Rows {
			fmt.Fprintln(p.err, "the stages have different numbers of rows: their scores are of different data, and cannot be compared")
			break
		}
	}
	return table.Write(p.out, "")
}

// rank scores a table of features on its rows of splits train and val.
func rank(ctx context.Context, pool *kernel.Pool, in pipeline.Input, f rankFlags) (ranked, error) {
	type row struct {
		draw  float64
		id    string
		class string
		at    int
	}
	var rows []row
	var values []float32
	width := 0
	for rec, err := range in.Batches(ctx) {
		if err != nil {
			return ranked{}, err
		}
		roles, err := record.NewRoles(rec)
		if err != nil {
			return ranked{}, err
		}
		tensors, err := record.TensorColumn(rec, record.Feature)
		if err != nil {
			return ranked{}, err
		}
		labels, err := record.NewTargetColumn(rec, record.TargetOf(rec.Schema(), f.target))
		if err != nil {
			return ranked{}, err
		}
		if labels.Task != record.SingleLabel {
			return ranked{}, fmt.Errorf("column %s has no classes: the scores are for one class a row", f.target)
		}
		width = tensors.Size()
		for i := range int(rec.NumRows()) {
			if roles.Copy(i) != 0 || roles.Split(i) == record.Test || tensors.IsNull(i) || !labels.Known(i) {
				continue
			}
			id := strings.Clone(roles.ID(i))
			rows = append(rows, row{dataset.Uniform("rank", id), id, labels.Class(i), len(rows)})
			values = tensors.AppendFloats(values, i)
		}
	}
	if len(rows) == 0 {
		return ranked{}, errors.New("it has no labelled row of split train or val")
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Or(cmp.Compare(a.draw, b.draw), strings.Compare(a.id, b.id)) })
	rows = rows[:min(f.rows, len(rows))]
	r := transferability.Rows{Width: width}
	numbers := map[string]int{}
	for _, one := range rows {
		n, ok := numbers[one.class]
		if !ok {
			n = len(numbers)
			numbers[one.class] = n
		}
		r.Classes = append(r.Classes, n)
		r.Values = append(r.Values, values[one.at*width:(one.at+1)*width]...)
	}
	s, err := transferability.Score(pool, r)
	if err != nil {
		return ranked{}, err
	}
	out := ranked{Rows: len(rows), Classes: len(numbers), Width: width, LogME: s.LogME, HScore: s.HScore}
	if !math.IsNaN(s.LEEP) {
		out.LEEP = &s.LEEP
	}
	return out, nil
}
