package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/dataset"
	"github.com/tlpipe/tlpipe/internal/inference"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/predict"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/search"
	"github.com/tlpipe/tlpipe/pipeline"
)

type searchFlags struct {
	file    pipelineFlags
	cached  cacheFlag
	index   string
	weights string
	top     int
	json    bool
}

func (p *program) searchCommand() *cobra.Command {
	var f searchFlags
	c := &cobra.Command{
		Use:   "search --index FILE:STAGE FILE|FOLDER...",
		Short: "Find the images of a data set that look most like others",
		Long: `Find the rows of a stage with features that are nearest to images, by the cosine of their
features. The features of the images are made as those of the stage were. Every row is
compared: the search is exact.`,
		Example: `  tlpipe search --index pipeline.yaml:features photo.jpg
  tlpipe search --index pipeline.yaml:features --top 3 --json photos`,
		RunE: func(c *cobra.Command, args []string) error { return p.search(c.Context(), f, args) },
	}
	f.file.add(c)
	f.cached.add(c)
	c.Flags().StringVar(&f.index, "index", "", "`FILE:STAGE` whose result is features")
	c.Flags().StringVar(&f.weights, "weights", "", "the `file` of the backbone's weights, if they came from a file")
	c.Flags().IntVar(&f.top, "top", 5, "`how many` rows to find per image")
	c.Flags().BoolVar(&f.json, "json", false, "print one JSON object per line")
	return c
}

// foundRow is a row that search prints.
type foundRow struct {
	ID         string  `json:"id"`
	Label      string  `json:"label,omitempty"`
	Similarity float64 `json:"similarity"` // cosine
}

// foundLine is a line that `search --json` prints.
type foundLine struct {
	Image string     `json:"image"`
	Found []foundRow `json:"found,omitempty"`
	Error string     `json:"error,omitempty"`
}

func (p *program) search(ctx context.Context, f searchFlags, args []string) error {
	file, reference, ok := splitReference(f.index)
	switch {
	case f.index == "":
		return usage("--index is missing: FILE:STAGE of a stage with features")
	case !ok:
		return usage("--index %s: expected FILE:STAGE", f.index)
	case len(args) == 0:
		return usage("no image given: name one or more files or folders")
	case f.top < 1:
		return usage("--top %d: expected 1 or more", f.top)
	}
	store, err := f.cached.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	artifact, err := p.stageArtifact(ctx, store, file, reference, f.file, pipeline.Features)
	if err != nil {
		return err
	}
	g, err := readGallery(ctx, artifact)
	if err != nil {
		return fmt.Errorf("stage %s: %w", reference, err)
	}
	if _, extracted := g.transforms.Extraction(); !extracted {
		return fmt.Errorf("stage %s: search compares images, by features that the stage extract makes of them: the rows of this stage were not made of images", reference)
	}
	pictures, err := g.pictures(f.weights)
	if err != nil {
		return fmt.Errorf("stage %s: %w", reference, err)
	}
	defer pictures.Close()
	files, err := p.filesOf(ctx, g.content(), predictFlags{}, args)
	if err != nil {
		return err
	}
	pool := kernel.NewPool(runtime.GOMAXPROCS(0))
	defer pool.Close()
	failed := 0
	for _, path := range files.names {
		if err := ctx.Err(); err != nil {
			return err
		}
		features := make([]float32, g.index.Width())
		text, err := budget.ReadFile(path, predict.MaxFile)
		if err == nil {
			err = pictures.File(text, features)
		}
		if err != nil {
			failed++
			fmt.Fprintf(p.err, "%s: %s\n", console.Line(path), console.Line(reasonOf(err)))
			if f.json {
				if err := p.out.JSON().Encode(foundLine{Image: path, Error: reasonOf(err)}); err != nil {
					return err
				}
			}
			continue
		}
		found, err := g.index.Nearest(pool, features, f.top)
		if err != nil {
			return err
		}
		if err := p.printFound(f, path, g.rows(found[0])); err != nil {
			return err
		}
	}
	if failed > 0 {
		return &exitError{exitFailed, fmt.Errorf("%d of %s could not be read", failed, console.Of(int64(len(files.names)), "file"))}
	}
	return nil
}

func (p *program) printFound(f searchFlags, path string, found []foundRow) error {
	if f.json {
		return p.out.JSON().Encode(foundLine{Image: path, Found: found})
	}
	var parts []string
	for _, row := range found {
		text := fmt.Sprintf("%s %.3f", row.ID, row.Similarity)
		if row.Label != "" {
			text = fmt.Sprintf("%s (%s) %.3f", row.ID, row.Label, row.Similarity)
		}
		parts = append(parts, text)
	}
	_, err := fmt.Fprintf(p.out, "%s: %s\n", console.Line(path), console.Line(strings.Join(parts, ", ")))
	return err
}

// gallery is a table of features that can be searched.
type gallery struct {
	index       *search.Index
	ids, labels []string  // labels: "" for none
	mean        []float64 // of the features
	transforms  record.Transforms
}

// content is what the features are made of.
func (g *gallery) content() dataset.Content {
	if g.transforms.OfSound() {
		return dataset.Sounds
	}
	return dataset.Pictures
}

// pictures makes the same features of files. weights is the file of the backbone's weights, "" if there is none.
func (g *gallery) pictures(weights string) (*inference.Pictures, error) {
	model, err := inference.Embedding(g.transforms, g.index.Width())
	if err != nil {
		return nil, err
	}
	pictures, err := model.OnPictures(weights)
	if err != nil {
		return nil, err
	}
	pictures.UseThreads(runtime.GOMAXPROCS(0))
	return pictures, nil
}

// rows are matches in words.
func (g *gallery) rows(found []search.Match) (out []foundRow) {
	for _, m := range found {
		out = append(out, foundRow{g.ids[m.Row], g.labels[m.Row], m.Similarity})
	}
	return out
}

// readGallery reads all rows that are no copies.
func readGallery(ctx context.Context, in pipeline.Input) (*gallery, error) {
	schema, err := in.Schema(ctx)
	if err != nil {
		return nil, err
	}
	if schema == nil {
		return nil, errors.New("it has no rows")
	}
	g := &gallery{}
	if g.transforms, err = record.TransformsOf(schema.Metadata().ToMap()); err != nil {
		return nil, err
	}
	var values []float32
	width := 0
	for rec, err := range in.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		roles, err := record.NewRoles(rec)
		if err != nil {
			return nil, err
		}
		tensors, err := record.TensorColumn(rec, record.Feature)
		if err != nil {
			return nil, err
		}
		labels, err := record.NewTargetColumn(rec, record.Label)
		if err != nil {
			return nil, err
		}
		width = tensors.Size()
		for i := range int(rec.NumRows()) {
			if roles.Copy(i) != 0 || tensors.IsNull(i) {
				continue
			}
			label := ""
			if labels.Known(i) {
				label = labels.Class(i)
			}
			g.ids, g.labels = append(g.ids, strings.Clone(roles.ID(i))), append(g.labels, label)
			values = tensors.AppendFloats(values, i)
		}
	}
	if len(g.ids) == 0 {
		return nil, errors.New("it has no rows")
	}
	g.mean = make([]float64, width)
	for i, v := range values {
		g.mean[i%width] += float64(v) / float64(len(g.ids))
	}
	g.index, err = search.New(values, width)
	return g, err
}
