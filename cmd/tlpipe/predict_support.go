package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/dataset"
	"github.com/tlpipe/tlpipe/internal/inference"
	"github.com/tlpipe/tlpipe/internal/predict"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// supported are classes that are known by a few pictures each: the prototypes of SimpleShot (Wang et al. 2019).
type supported struct {
	pictures   *inference.Pictures
	mean       []float64 // of the stage's features
	names      []string
	prototypes [][]float64 // by class: the mean of its pictures' features, centred and of length 1
}

// supportTemperature is what cosines are multiplied by to become probabilities.
const supportTemperature = 10

// predictSupport classifies pictures by those of a folder, one folder a class, without training: by the cosine of their features with
// the mean of each class.
func (p *program) predictSupport(ctx context.Context, f predictFlags, args []string) error {
	file, reference, ok := splitReference(f.model)
	switch {
	case !ok:
		return usage("--model %s: with --support, name a stage with features: FILE:STAGE", f.model)
	case f.out != "" || f.explain != "" || f.as != "" || f.lines || f.task != "":
		return usage("--support goes with --model, --weights, --top and --json alone")
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
	s := &supported{mean: g.mean}
	if s.pictures, err = g.pictures(f.weights); err != nil {
		return fmt.Errorf("stage %s: %w", reference, err)
	}
	defer s.pictures.Close()
	if err := p.learn(ctx, s, f.support, g.content()); err != nil {
		return err
	}
	files, err := p.filesOf(ctx, g.content(), f, args)
	if err != nil {
		return err
	}
	failed := 0
	for _, path := range files.names {
		if err := ctx.Err(); err != nil {
			return err
		}
		all, err := s.classify(path)
		if err != nil {
			failed++
			fmt.Fprintf(p.err, "%s: %s\n", console.Line(path), console.Line(reasonOf(err)))
		}
		all = all[:min(f.top, len(all))]
		switch {
		case f.json:
			err = p.out.JSON().Encode(predictedOf(false, path, all, err))
		case err == nil:
			_, err = fmt.Fprintf(p.out, "%s: %s\n", console.Line(path), console.Line(predictionsInWords(record.SingleLabel, all)))
		default:
			err = nil
		}
		if err != nil {
			return err
		}
	}
	if failed > 0 {
		return &exitError{exitFailed, fmt.Errorf("%d of %s could not be read", failed, console.Of(int64(len(files.names)), "file"))}
	}
	return nil
}

// learn makes the prototypes of the classes of a folder. Pictures that cannot be read are told of.
func (p *program) learn(ctx context.Context, s *supported, folder string, content dataset.Content) error {
	rows, err := dataset.Folder{Path: folder, Layout: dataset.LayoutClasses, Content: content}.List(ctx, nil)
	if err != nil {
		return usage("--support %s: %w", folder, err)
	}
	sums, read := map[string][]float64{}, 0
	for _, row := range rows.All {
		x, err := s.features(row.At.Path)
		if err != nil {
			fmt.Fprintf(p.err, "%s: %s\n", console.Line(row.At.Path), console.Line(reasonOf(err)))
			continue
		}
		read++
		if sums[row.Label] == nil {
			sums[row.Label] = make([]float64, len(x))
			s.names = append(s.names, row.Label)
		}
		for i, v := range x {
			sums[row.Label][i] += v
		}
	}
	if slices.Sort(s.names); len(s.names) < 2 {
		return usage("--support %s has readable %s of %d classes: expected two or more folders, one a class", folder, content.Many(), len(s.names))
	}
	for _, name := range s.names {
		unit(sums[name])
		s.prototypes = append(s.prototypes, sums[name])
	}
	fmt.Fprintf(p.err, "%s: %s of %d classes\n", console.Line(folder), console.Of(int64(read), strings.TrimSuffix(content.Many(), "s")), len(s.names))
	return nil
}

// features are those of a picture, centred and of length 1.
func (s *supported) features(path string) ([]float64, error) {
	file, err := budget.ReadFile(path, predict.MaxFile)
	if err != nil {
		return nil, err
	}
	raw := make([]float32, len(s.mean))
	if err := s.pictures.File(file, raw); err != nil {
		return nil, err
	}
	out := make([]float64, len(raw))
	for i, v := range raw {
		out[i] = float64(v) - s.mean[i]
	}
	unit(out)
	return out, nil
}

// unit gives a vector length 1.
func unit(x []float64) {
	var sum float64
	for _, v := range x {
		sum += v * v
	}
	if by := math.Sqrt(sum); by > 0 {
		for i := range x {
			x[i] /= by
		}
	}
}

// classify tells how probable each class is, the most probable first.
func (s *supported) classify(path string) ([]predict.Prediction, error) {
	x, err := s.features(path)
	if err != nil {
		return nil, err
	}
	out := make([]predict.Prediction, len(s.names))
	total := 0.0
	for c, prototype := range s.prototypes {
		var cosine float64
		for i, v := range x {
			cosine += v * prototype[i]
		}
		out[c] = predict.Prediction{Label: s.names[c], Probability: math.Exp(supportTemperature * cosine)}
		total += out[c].Probability
	}
	for c := range out {
		out[c].Probability /= total
	}
	slices.SortStableFunc(out, func(a, b predict.Prediction) int { return cmp.Compare(b.Probability, a.Probability) })
	return out, nil
}
