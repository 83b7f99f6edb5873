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
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/predict"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/search"
	"github.com/tlpipe/tlpipe/pipeline"
)

type searchFlags struct {
	file    pipelineFlags
	cached  cacheFlag
	index   string
	model   string
	texts   bool
	weights string
	top     int
	json    bool
}

func (p *program) searchCommand() *cobra.Command {
	var f searchFlags
	c := &cobra.Command{
		Use:   "search --index FILE:STAGE FILE|FOLDER|TEXT...",
		Short: "Find the rows of a data set that are most like images or texts",
		Long: `Find the rows of a stage with features that are nearest to images, by the cosine of their
features. The features of the images are made as those of the stage were. Where the stage
is embed, name the model that it embeds with: --model. With --texts, what is searched for
are texts, whose vectors the model makes: of two tables that contrastive brought into one
space, pictures are found by words. Every row is compared: the search is exact.`,
		Example: `  tlpipe search --index pipeline.yaml:features photo.jpg
  tlpipe search --index pipeline.yaml:features --top 3 --json photos
  tlpipe search --index pipeline.yaml:vectors --model pipeline.yaml:net photo.jpg
  tlpipe search --index pipeline.yaml:picture_vectors --model pipeline.yaml:space.second --texts "red car"`,
		RunE: func(c *cobra.Command, args []string) error { return p.search(c.Context(), f, args) },
	}
	f.file.add(c)
	f.cached.add(c)
	c.Flags().StringVar(&f.index, "index", "", "`FILE:STAGE` whose result is features")
	c.Flags().StringVar(&f.model, "model", "", "the model that makes the vectors of what is searched for, where the index is the result of embed: `FILE:STAGE`, a safetensors file, or the name of a registered model")
	c.Flags().BoolVar(&f.texts, "texts", false, "the arguments are texts, not files; needs --model")
	c.Flags().StringVar(&f.weights, "weights", "", "the `file` of the backbone's weights, if they came from a file; of texts, the word vectors or the encoder's folder")
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
	Image string     `json:"image,omitempty"`
	Text  string     `json:"text,omitempty"`
	Found []foundRow `json:"found,omitempty"`
	Error string     `json:"error,omitempty"`
}

// line is what was found for one query.
func (f searchFlags) line(query string, found []foundRow, problem string) foundLine {
	if f.texts {
		return foundLine{Text: query, Found: found, Error: problem}
	}
	return foundLine{Image: query, Found: found, Error: problem}
}

func (p *program) search(ctx context.Context, f searchFlags, args []string) error {
	file, reference, ok := splitReference(f.index)
	switch {
	case f.index == "":
		return usage("--index is missing: FILE:STAGE of a stage with features")
	case !ok:
		return usage("--index %s: expected FILE:STAGE", f.index)
	case len(args) == 0:
		return usage("nothing to search for: name one or more files or folders, or texts with --texts")
	case f.texts && f.model == "":
		return usage("--texts needs --model: the model that makes vectors of texts in the space of the index, such as FILE:space.second")
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
	queries, closing, err := p.queries(ctx, f, g, args, reference)
	if err != nil {
		return err
	}
	defer closing()
	pool := kernel.NewPool(runtime.GOMAXPROCS(0))
	defer pool.Close()
	failed := 0
	for _, path := range queries.names {
		if err := ctx.Err(); err != nil {
			return err
		}
		features := make([]float32, g.index.Width())
		if err := queries.vector(path, features); err != nil {
			failed++
			fmt.Fprintf(p.err, "%s: %s\n", console.Line(path), console.Line(reasonOf(err)))
			if f.json {
				if err := p.out.JSON().Encode(f.line(path, nil, reasonOf(err))); err != nil {
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
		return &exitError{exitFailed, fmt.Errorf("%d of %s could not be read", failed, console.Of(int64(len(queries.names)), queries.what))}
	}
	return nil
}

// queries are what is searched for.
type queries struct {
	names  []string
	what   string // one of them
	vector func(name string, to []float32) error
}

// queries are the arguments, with what makes vectors of them. closing frees that.
func (p *program) queries(ctx context.Context, f searchFlags, g *gallery, args []string, reference string) (q queries, closing func(), err error) {
	model, content := (*inference.Model)(nil), g.content()
	if f.model == "" {
		if _, extracted := g.transforms.Extraction(); !extracted {
			return q, nil, fmt.Errorf("stage %s: search compares images, by features that the stage extract makes of them: the rows of this stage were not made of images; of a stage embed, name its model with --model", reference)
		}
		if model, err = inference.Embedding(g.transforms, g.index.Width()); err != nil {
			return q, nil, fmt.Errorf("stage %s: %w", reference, err)
		}
	} else {
		var stored *classifier.Classifier
		if stored, err = p.readModel(ctx, modelFlags{file: f.file, cached: f.cached, model: f.model}); err != nil {
			return q, nil, err
		}
		var shape nn.Shape
		if model, shape, err = inference.Vectors(stored, ""); err != nil {
			return q, nil, fmt.Errorf("--model %s: %w", f.model, err)
		}
		if shape.Size() != g.index.Width() {
			return q, nil, usage("--model %s makes vectors of %d numbers, and the rows of stage %s have %d: it is not the model that they were made with", f.model, shape.Size(), reference, g.index.Width())
		}
		if content = dataset.Pictures; model.Input().Transforms.OfSound() {
			content = dataset.Sounds
		}
	}
	if f.texts {
		texts, err := model.OnTexts(f.weights)
		if err != nil {
			return q, nil, fmt.Errorf("--model %s: %w", f.model, err)
		}
		return queries{args, "text", texts.Query}, func() {}, nil
	}
	pictures, err := model.OnPictures(f.weights)
	if err != nil {
		return q, nil, fmt.Errorf("stage %s: %w", reference, err)
	}
	pictures.UseThreads(runtime.GOMAXPROCS(0))
	files, err := p.filesOf(ctx, content, predictFlags{}, args)
	if err != nil {
		pictures.Close()
		return q, nil, err
	}
	return queries{files.names, "file", func(path string, to []float32) error {
		file, err := budget.ReadFile(path, predict.MaxFile)
		if err != nil {
			return err
		}
		return pictures.File(file, to)
	}}, pictures.Close, nil
}

func (p *program) printFound(f searchFlags, path string, found []foundRow) error {
	if f.json {
		return p.out.JSON().Encode(f.line(path, found, ""))
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
