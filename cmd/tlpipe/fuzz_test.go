package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tlpipe/tlpipe/internal/budget/budgettest"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// FuzzPlan reads pipelines with the kinds that there are, and plans what would run. What is wrong is told as problems
// of the YAML, within what reading it may cost.
func FuzzPlan(f *testing.F) {
	files, err := filepath.Glob("../../pipelines/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	var seeds []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, string(text))
	}
	budgettest.Texts(f, 40, append(seeds,
		"vars: {a: [1, 2, 3], b: [$(a), $(a)]}\nstages:\n  a: {uses: preprocess, matrix: {x: $(a)}, with: {source: {builtin: emoji}, for: pixels, size: $(x)}}\n",
		"max_instances: 3\nstages: {a: {uses: preprocess, with: {source: {builtin: emoji, limits: {memory: 1GB, rows: 5}}, for: pixels}}, b: {uses: extract, from: a, with: {backbone: pixels}}}\n",
	)...)
	store, err := cache.Open(context.Background(), f.TempDir(), cache.OS{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = store.Close() })
	f.Fuzz(func(t *testing.T, text string) {
		budgettest.Cost{Memory: 1 << 30, Time: time.Minute}.Bounds(t, func() { // networks are built, and weights read that are in the program
			graph, err := pipeline.Load(filepath.Join(t.TempDir(), "p.yaml"), []byte(text), kinds())
			if err != nil {
				if problems := (pipeline.Problems)(nil); !errors.As(err, &problems) {
					t.Errorf("%T: %v", err, err)
				}
				return
			}
			_, _ = (&pipeline.Runner{Store: store}).Plan(context.Background(), graph)
		})
	})
}
