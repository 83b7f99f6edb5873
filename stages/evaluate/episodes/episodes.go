package episodes

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/fewshot"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Params are the parameters of the stage.
type Params struct {
	Way       int      `yaml:"way" min:"2" max:"100" doc:"classes per episode"`
	Shots     []int    `yaml:"shots" doc:"labelled examples per class: each number is measured separately"`
	Query     int      `yaml:"query" min:"1" max:"1000" doc:"images per class to classify"`
	Episodes  int      `yaml:"episodes" min:"2" max:"100000" doc:"number of episodes"`
	Methods   []string `yaml:"methods" enum:"prototypical,cosine,simple_shot,nearest_neighbour,logistic,laplacian_shot,fine_tuned,tim" doc:"how queries are classified: prototypical (nearest class mean), cosine, simple_shot (nearest class mean of centred features of length 1), nearest_neighbour, logistic, laplacian_shot (transductive: it sees all queries of an episode together); and, more slowly, fine_tuned (a cosine classifier trained on the support), tim (transductive information maximisation)"`
	Split     string   `yaml:"split" enum:"train,val,test" doc:"the split that episodes are drawn from; nothing should have been trained on its classes"`
	Base      string   `yaml:"base" enum:"train,val,test" doc:"the split whose mean simple_shot, laplacian_shot and tim subtract from the features; its classes must not be those of the episodes"`
	By        string   `yaml:"by" doc:"a column that groups images of one object: support and query of an episode share no object"`
	Dirichlet float64  `yaml:"dirichlet" min:"0" max:"1000" doc:"spread the queries unevenly over the classes, with this concentration; 0: evenly"`
	Open      int      `yaml:"open" min:"0" max:"10000" doc:"queries of classes that are not in the episode: how well they are told from the others is measured by AUROC"`
}

// Kind declares the stage.
func Kind() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "episodes",
		Summary: "measure few-shot classification of new classes on features",
		Doc: "Draws many small tasks, episodes: `way` classes of the split, of each `shots` labelled examples and up to `query` images to " +
			"classify, and measures the accuracy of each method with a 95 % interval over the episodes. Nothing is trained on the classes of " +
			"an episode: divide the data by class with `split: {classes: {train: 0.6, val: 0.2, test: 0.2}}` in preprocess. All methods " +
			"and all features meet the same episodes. With `open`, it also measures how well images of other classes are told apart.",
		Example: `few_shot:
  uses: episodes
  from: features
  with: {way: 5, shots: [1, 5], by: object}
`,
		Version: 1,
		Seeded:  true,
		Inputs:  []pipeline.Port{{Name: "data", Kind: pipeline.Features, Many: true, Doc: "features with classes and splits; several tables are compared"}},
		Outputs: []pipeline.Port{
			{Name: "metrics", Kind: pipeline.Metrics, Doc: "accuracy, and with `open` roc_auc, of each method, number of shots and table; rows counts the episodes"},
			{Name: "episodes", Kind: pipeline.Metrics, Doc: "accuracy of each method in each episode, to compare two of them in pairs"},
		},
	}, Params{
		Way: 5, Shots: []int{1, 5}, Query: 15, Episodes: 600, Split: record.Test, Base: record.Train,
		Methods: []string{"prototypical", "cosine", "simple_shot", "nearest_neighbour", "logistic", "laplacian_shot"},
	}, build)
}

type stage struct{ Params }

func build(p Params) (pipeline.Stage, error) {
	var errs []error
	if len(p.Shots) == 0 {
		errs = append(errs, pipeline.ParamError("shots", "name one number or more"))
	}
	for i, shot := range p.Shots {
		if shot < 1 || shot > 1000 {
			errs = append(errs, pipeline.ParamError(fmt.Sprintf("shots[%d]", i), "%d: want 1 to 1000", shot))
		}
		if slices.Contains(p.Shots[:i], shot) {
			errs = append(errs, pipeline.ParamError(fmt.Sprintf("shots[%d]", i), "%d is listed twice", shot))
		}
	}
	if len(p.Methods) == 0 {
		errs = append(errs, pipeline.ParamError("methods", "name one or more"))
	}
	for i, name := range p.Methods {
		if slices.Contains(p.Methods[:i], name) {
			errs = append(errs, pipeline.ParamError(fmt.Sprintf("methods[%d]", i), "%s is listed twice", name))
		}
	}
	if p.Base == p.Split {
		errs = append(errs, pipeline.ParamError("base", "%s is the split that episodes are drawn from: their classes would not be new", p.Base))
	}
	return stage{p}, errors.Join(errs...)
}

// Check implements pipeline.Stage.
func (stage) Check(map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) { return nil, nil }

// Demands implements pipeline.Demanding.
func (s stage) Demands() []pipeline.Demand {
	return []pipeline.Demand{{Port: "data", Split: s.Split, Classes: s.Way, Why: fmt.Sprintf("episodes are %d of their classes", s.Way)}}
}

// Numerics implements pipeline.Numeric: logistic regression computes with the kernels.
func (stage) Numerics() string { return kernel.Numerics() }

// Episode is what a method reached in one episode: a row of the port episodes.
type Episode struct {
	Model    string  `column:"model"`
	Shots    int64   `column:"shots"`
	Episode  int64   `column:"episode"` // its number: the same task for all methods and tables with the same rows
	Accuracy float64 `column:"accuracy"`
	ROCAUC   float64 `column:"roc_auc"` // null without queries of other classes
}

// Run implements pipeline.WholeTable.
func (s stage) Run(ctx context.Context, task *pipeline.Task) error {
	var measured []record.Metric
	var each []Episode
	total := int64(len(task.Inputs["data"]) * len(s.Shots) * len(s.Methods) * s.Episodes)
	done := int64(0)
	for _, in := range task.Inputs["data"] {
		t, err := s.read(ctx, in)
		if err != nil {
			return err
		}
		for _, shot := range s.Shots {
			sampler := &fewshot.Sampler{Way: s.Way, Shot: shot, Query: s.Query, Dirichlet: s.Dirichlet, Open: s.Open, Seed: task.Seed}
			if err := sampler.Prepare(t.classes, t.objects); err != nil {
				return fmt.Errorf("data %s, split %s: %w", in.Name(), s.Split, err)
			}
			for _, name := range s.Methods {
				method, _ := fewshot.Find(name)
				results, err := method.Measure(ctx, t.features, sampler, s.Episodes, task.Threads, func(n int) {
					task.Progress(done+int64(n), total, "episodes")
				})
				if err != nil {
					return fmt.Errorf("data %s, %s: %w", in.Name(), name, err)
				}
				done += int64(s.Episodes)
				model := fmt.Sprintf("%s, %d-way %d-shot", name, s.Way, shot)
				if len(task.Inputs["data"]) > 1 {
					model += ", " + in.Name()
				}
				measured = append(measured, summary(model, results)...)
				for i, r := range results {
					each = append(each, Episode{model, int64(shot), int64(i), r.Accuracy, r.AUROC})
				}
			}
		}
	}
	about := record.Evaluation{Split: s.Split, Cluster: s.By}.Encode()
	return errors.Join(task.WriteRecord("metrics", record.Evaluated(measured, about)), task.WriteRecord("episodes", record.Evaluated(each, about)))
}

// summary is the mean over the episodes, with its interval.
func summary(model string, results []fewshot.Result) []record.Metric {
	var accuracies, areas []float64
	for _, r := range results {
		accuracies = append(accuracies, r.Accuracy)
		if !math.IsNaN(r.AUROC) {
			areas = append(areas, r.AUROC)
		}
	}
	var out []record.Metric
	for _, m := range []struct {
		name   string
		values []float64
	}{{record.Accuracy, accuracies}, {record.ROCAUC, areas}} {
		if len(m.values) == 0 {
			continue
		}
		mean, interval := metrics.Mean(m.values)
		out = append(out, record.Metric{Model: model, Role: record.ModelRole, Metric: m.name, Value: mean, Low: interval.Low, High: interval.High, Rows: int64(len(m.values))})
	}
	return out
}
