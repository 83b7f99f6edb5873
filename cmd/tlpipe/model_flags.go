package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/registry"
	"github.com/tlpipe/tlpipe/pipeline"
)

// modelFlags are those of every command that runs a stored model.
type modelFlags struct {
	file    pipelineFlags
	cached  cacheFlag
	folder  registryFlag
	model   string
	task    string
	weights string
}

func (f *modelFlags) add(c *cobra.Command) {
	f.file.add(c)
	f.cached.add(c)
	f.folder.add(c)
	c.Flags().StringVar(&f.model, "model", "", "`FILE:STAGE`, a safetensors file, or NAME, NAME@VERSION or NAME@TAG of a registered model")
	c.Flags().StringVar(&f.task, "task", "", "of a model with several tasks: the `name` of one")
	c.Flags().StringVar(&f.weights, "weights", "", "the `file` of the backbone's weights, or of word vectors, if they came from a file; or the folder of a text encoder")
}

// check tells what is wrong without reading anything.
func (f *modelFlags) check() error {
	if f.model == "" {
		return usage("--model is missing: FILE:STAGE, a safetensors file, or the name of a registered model")
	}
	return nil
}

// isPipelineFile tells whether a name is that of a file with a pipeline.
func isPipelineFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular() && slices.Contains([]string{".yaml", ".yml"}, strings.ToLower(filepath.Ext(name)))
}

// exampleOfModel is the last stage of a pipeline that gives a model.
func (p *program) exampleOfModel(file string, f pipelineFlags) string {
	name := "STAGE"
	graph, err := p.load(file, f)
	if err != nil {
		return name
	}
	for _, n := range graph.Nodes {
		if slices.ContainsFunc(n.Kind.Outputs, func(o pipeline.Port) bool { return o.Kind == pipeline.Model }) {
			name = n.Name
		}
	}
	return name
}

// readModel reads a model from the cache or from a file: of several tasks, the part that answers the one that the flags name.
func (p *program) readModel(ctx context.Context, f modelFlags) (*classifier.Classifier, error) {
	model, err := p.readTasks(ctx, f)
	if err != nil {
		return nil, err
	}
	one, err := model.Task(f.task)
	if err != nil {
		return nil, usage("--task: model %s: %w", f.model, err)
	}
	return one, nil
}

// readTasks reads a model with all its tasks.
func (p *program) readTasks(ctx context.Context, f modelFlags) (*classifier.Classifier, error) {
	if strings.HasSuffix(f.model, ".safetensors") {
		model, err := classifier.ReadTasksFile(f.model)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usage("there is no file %s", f.model)
		}
		return model, err
	}
	file, reference, ok := splitReference(f.model)
	if !ok && isPipelineFile(f.model) {
		return nil, usage("--model %s is a pipeline: name the stage that trained the model too, as in %s:%s", f.model, f.model, p.exampleOfModel(f.model, f.file))
	}
	if !ok {
		v, err := f.folder.open().Find(f.model)
		if wrong := new(registry.RequestError); errors.As(err, &wrong) {
			return nil, usage("--model %s: %w; or FILE:STAGE, or a safetensors file", f.model, err)
		}
		if err != nil {
			return nil, err
		}
		if err := f.folder.open().Verify(v); err != nil {
			return nil, err
		}
		return classifier.ReadTasksFile(f.folder.open().Path(v))
	}
	store, err := f.cached.open(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	artifact, err := p.stageArtifact(ctx, store, file, reference, f.file, pipeline.Model)
	if err != nil {
		return nil, err
	}
	return classifier.ReadTasks(ctx, artifact)
}
