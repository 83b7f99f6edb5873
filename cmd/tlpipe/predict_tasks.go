package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/document"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/predict"
	"github.com/tlpipe/tlpipe/internal/record"
)

// predictedTasks is a line that `predict --json` prints for a model of several tasks.
type predictedTasks struct {
	Image string                 `json:"image,omitempty"`
	Text  string                 `json:"text,omitempty"`
	Tasks map[string]predictions `json:"tasks,omitempty"`
	Error string                 `json:"error,omitempty"`
}

type predictions []predict.Prediction

// answersOf are what the tasks of a model say of a file, or why it could not be read.
type answersOf struct {
	all []predictions
	err error
}

// predictTasks prints what each task of a model says of each file, a line per file.
func (p *program) predictTasks(ctx context.Context, f predictFlags, whole *classifier.Classifier, args []string) error {
	name := "name one with --task, of " + strings.Join(whole.Tasks(), ", ")
	switch {
	case f.explain != "":
		return usage("model %s has several tasks: %s", f.model, name)
	case f.out != "" && !isLines(f.out):
		return usage("--out %s: model %s has several tasks: %s, or write all of them to a .jsonl", f.out, f.model, name)
	}
	answers := map[string]*answersOf{}
	var files predictFiles
	var heads []record.Head
	onTexts := false
	for i, name := range whole.Tasks() {
		model, err := whole.Task(name)
		if err != nil {
			return err
		}
		predictor, err := predict.New(model, f.weights)
		if err != nil {
			return fmt.Errorf("model %s: %w", f.model, err)
		}
		predictor.Format = document.Format(f.as)
		if i == 0 {
			onTexts = predictor.OnTexts()
			if files, err = p.filesOf(ctx, takenBy(predictor), f, args); err != nil {
				return err
			}
		}
		heads = append(heads, predictor.Target())
		_, err = files.predict(ctx, predictor, runtime.GOMAXPROCS(0), func(path string, all []predict.Prediction, err error) {
			own := answers[path]
			if own == nil {
				own = &answersOf{}
				answers[path] = own
			}
			if own.err = err; predictor.Target().Task != record.Regression && f.out == "" {
				all = all[:min(f.top, len(all))]
			}
			own.all = append(own.all, all)
		})
		if err != nil {
			return err
		}
	}
	if f.out == "" {
		return p.printTasks(f, p.out.JSON(), files.names, heads, answers, onTexts)
	}
	var unread error // files that cannot be read leave the others written
	err := writeFile(f.out, func(w io.Writer) error {
		f.json = true
		err := p.printTasks(f, json.NewEncoder(w), files.names, heads, answers, onTexts)
		if exit := new(exitError); errors.As(err, &exit) {
			unread, err = err, nil
		}
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(p.err, "%s: %s\n", console.Line(f.out), console.Of(int64(len(files.names)), "row"))
	return unread
}

// printTasks prints a line per file, with --json to lines.
func (p *program) printTasks(f predictFlags, lines *json.Encoder, names []string, heads []record.Head, answers map[string]*answersOf, onTexts bool) error {
	failed := 0
	var fault error
	for _, path := range names {
		own := answers[path]
		if own == nil {
			continue
		}
		if own.err != nil {
			failed++
			fmt.Fprintf(p.err, "%s: %s\n", console.Line(path), console.Line(reasonOf(own.err)))
		}
		if f.json {
			line := predictedTasks{Image: path, Tasks: map[string]predictions{}}
			if onTexts {
				line.Image, line.Text = "", path
			}
			for i, head := range heads {
				line.Tasks[head.Name] = own.all[i]
			}
			if own.err != nil {
				line.Tasks, line.Error = nil, reasonOf(own.err)
			}
			fault = errors.Join(fault, lines.Encode(line))
			continue
		}
		if own.err != nil {
			continue
		}
		var parts []string
		for i, head := range heads {
			parts = append(parts, fmt.Sprintf("%s: %s", head.Name, predictionsInWords(head.Task, own.all[i])))
		}
		_, err := fmt.Fprintf(p.out, "%s: %s\n", console.Line(path), console.Line(strings.Join(parts, "; ")))
		fault = errors.Join(fault, err)
	}
	if failed > 0 {
		fault = errors.Join(fault, &exitError{exitFailed, fmt.Errorf("%d of %s could not be read", failed, console.Of(int64(len(names)), "file"))})
	}
	return fault
}
