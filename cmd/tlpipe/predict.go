package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/document"
	"github.com/tlpipe/tlpipe/internal/predict"
	"github.com/tlpipe/tlpipe/internal/record"
)

type predictFlags struct {
	modelFlags
	top     int
	as      string
	lines   bool
	json    bool
	out     string
	explain string
	support string
}

func (p *program) predictCommand() *cobra.Command {
	var f predictFlags
	c := &cobra.Command{
		Use:   "predict --model FILE:STAGE|model.safetensors FILE|FOLDER...",
		Short: "Classify images or texts with a trained model",
		Long: `Classify images or texts with a trained model: one line per file, the most probable class
first; for a multi-label model, the classes with a probability above one half; for a
regression model, the numbers. The model is a stage of a pipeline whose result is in the cache, or a file
written by "tlpipe show --export model.safetensors". A model with several tasks answers
all of them, or the one named by --task. Images are prepared exactly as
the training images were, and texts are read as the training texts were: .eml files as
mails, .html files as web pages, and others as plain text, or as mails if the model learned
from mails and they begin with the header of one. The file "-" is a text from standard input, or with --lines a text per line of it.

If there are 20 files or more, they are held together against the rows of split val of
the training: a warning says if the model answers them unlike those.

With --explain, a heat map shows for each image what its most probable class rests on: by
Grad-CAM (Selvaraju et al. 2017) or, where the network has no last feature map, by covering
parts of the image (occlusion). It is no proof that the answer is right.

Files that cannot be read are reported and the others are classified; the exit code
is then 1.`,
		Example: `  tlpipe predict --model pipeline.yaml:head photo.jpg
  tlpipe predict --model head.safetensors --json *.jpg
  tlpipe predict --model pipeline.yaml:head photos --out scores.csv
  tlpipe predict --model pipeline.yaml:head --explain maps photo.jpg
  tlpipe predict --model pipeline.yaml:features --support new_classes photo.jpg
  tlpipe predict --model mails.yaml:head mail.eml
  tlpipe predict --model mails.yaml:head --lines - < reviews.txt`,
		RunE: func(c *cobra.Command, args []string) error { return p.predict(c.Context(), f, args) },
	}
	f.modelFlags.add(c)
	c.Flags().IntVar(&f.top, "top", 3, "the number of `classes` to print per file")
	c.Flags().StringVar(&f.as, "as", "", "of texts: what all files are, whatever their names end in: `text`, mail or html")
	c.Flags().BoolVar(&f.lines, "lines", false, "of texts: each line of standard input is a text of its own")
	c.Flags().BoolVar(&f.json, "json", false, "print one JSON object per line")
	c.Flags().StringVar(&f.out, "out", "", "write a row per file to this `file` in place of printing it, with all classes or numbers: .csv, .jsonl or .parquet; all tasks of a model go into a .jsonl")
	c.Flags().StringVar(&f.support, "support", "", "a `folder` with a few images of each class, one folder a class: these classes are told in place of those of a model, by the features of the stage --model, without training")
	c.Flags().StringVar(&f.explain, "explain", "", "write a PNG per image to this `folder`: the image and, beside it, what its most probable class rests on")
	return c
}

// predicted is a line that `predict --json` prints.
type predicted struct {
	Image       string               `json:"image,omitempty"`
	Text        string               `json:"text,omitempty"`
	Predictions []predict.Prediction `json:"predictions,omitempty"`
	Error       string               `json:"error,omitempty"`
}

// predictedOf is the line of a file, or of a text.
func predictedOf(onTexts bool, name string, all []predict.Prediction, err error) predicted {
	out := predicted{Predictions: all}
	if err != nil {
		out = predicted{Error: reasonOf(err)}
	}
	if onTexts {
		out.Text = name
	} else {
		out.Image = name
	}
	return out
}

func (p *program) predict(ctx context.Context, f predictFlags, args []string) error {
	if err := f.check(); err != nil {
		return err
	}
	switch {
	case len(args) == 0:
		return usage("no file given: name one or more files or folders")
	case f.top < 1:
		return usage("--top %d: expected 1 or more", f.top)
	}
	if err := f.checkTexts(args); err != nil {
		return err
	}
	if f.out != "" {
		if err := checkScoreFile(f.out); err != nil {
			return err
		}
	}
	if f.support != "" {
		return p.predictSupport(ctx, f, args)
	}
	whole, err := p.readTasks(ctx, f.modelFlags)
	if err != nil {
		return err
	}
	if len(whole.Tasks()) > 1 && f.task == "" {
		return p.predictTasks(ctx, f, whole, args)
	}
	model, err := whole.Task(f.task)
	if err != nil {
		return usage("--task: model %s: %w", f.model, err)
	}
	predictor, err := predict.New(model, f.weights)
	if err != nil {
		return fmt.Errorf("model %s: %w", f.model, err)
	}
	predictor.Format = document.Format(f.as)
	if f.explain != "" && predictor.OnTexts() {
		return usage("--explain is for models of images, and %s takes texts", f.model)
	}
	files, err := p.filesOf(ctx, takenBy(predictor), f, args)
	if err != nil {
		return err
	}
	var maps *explanations
	if f.explain != "" {
		if maps, err = newExplanations(model, f.weights, f.explain); err != nil {
			return fmt.Errorf("model %s: %w", f.model, err)
		}
	}
	failed := 0
	if f.out == "" {
		failed, err = p.predictAll(ctx, predictor, files, f, nil, maps)
	} else {
		err = writeFile(f.out, func(w io.Writer) error {
			scores, err := newScoreWriter(f.out, predictor.OnTexts(), predictor.Target(), w)
			if err != nil {
				return err
			}
			if failed, err = p.predictAll(ctx, predictor, files, f, scores, maps); err != nil {
				return err
			}
			return scores.close()
		})
		if err == nil {
			fmt.Fprintf(p.err, "%s: %s\n", console.Line(f.out), console.Of(int64(len(files.names)), "row"))
		}
	}
	if err != nil {
		return err
	}
	if maps != nil && len(maps.taken) > 0 {
		fmt.Fprintf(p.err, "%s: %s by %s\n", console.Line(f.explain), console.Of(int64(len(maps.taken)), "heat map"), maps.method)
	}
	if failed > 0 {
		return &exitError{exitFailed, fmt.Errorf("%d of %s could not be read", failed, console.Of(int64(len(files.names)), "file"))}
	}
	return nil
}

// predictAll prints what the model says of each file, or writes it to scores, and explains it; failed is how many could not be read.
func (p *program) predictAll(ctx context.Context, predictor *predict.Predictor, files predictFiles, f predictFlags, scores scoreWriter, maps *explanations) (failed int, err error) {
	var fault error
	shifted, err := files.predict(ctx, predictor, runtime.GOMAXPROCS(0), func(path string, all []predict.Prediction, err error) {
		if err != nil {
			failed++
			fmt.Fprintf(p.err, "%s: %s\n", console.Line(path), console.Line(reasonOf(err)))
		}
		if err == nil {
			fault = errors.Join(fault, maps.write(path, all))
		}
		if scores != nil {
			fault = errors.Join(fault, scores.row(path, all, err))
			return
		}
		task := predictor.Target().Task
		if task != record.Regression {
			all = all[:min(f.top, len(all))]
		}
		switch {
		case f.json:
			err = p.out.JSON().Encode(predictedOf(predictor.OnTexts(), path, all, err))
		case err == nil:
			_, err = fmt.Fprintf(p.out, "%s: %s\n", console.Line(path), console.Line(predictionsInWords(task, all)))
		default:
			err = nil
		}
		fault = errors.Join(fault, err)
	})
	if shifted != nil {
		fmt.Fprintf(p.err, "warning: %s\n", console.Line(shifted.InWords(predictor.Target().Names())))
	}
	return failed, errors.Join(err, fault)
}

// widestLabel is how many cells of a label are shown in a line.
const widestLabel = 100

// predictionsInWords tells what a model says of a picture: the most probable classes; where any of several may
// apply, those that do, more probable than not; or numbers.
func predictionsInWords(task record.Task, all []predict.Prediction) string {
	var parts []string
	label := func(x predict.Prediction) string { return console.Shorten(x.Label, widestLabel) }
	for _, x := range all {
		switch {
		case x.IsNumber:
			parts = append(parts, fmt.Sprintf("%s %.6g", label(x), x.Value))
		case task != record.MultiLabel || x.Probability >= 0.5:
			parts = append(parts, fmt.Sprintf("%s %.1f%%", label(x), 100*x.Probability))
		}
	}
	if len(parts) == 0 && len(all) > 0 {
		return fmt.Sprintf("none (the most probable: %s %.1f%%)", label(all[0]), 100*all[0].Probability)
	}
	return strings.Join(parts, ", ")
}

// reasonOf says what is wrong with a file without naming it again.
func reasonOf(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}
