package evaluate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Params are the parameters of the stage.
type Params struct {
	Split           string     `yaml:"split" enum:"train,val,test" doc:"the split to evaluate on"`
	TopK            int        `yaml:"top_k" min:"1" doc:"k of the top-k accuracy: a prediction counts if the true class is among the k most probable"`
	Slices          []string   `yaml:"slices" doc:"columns, such as domain: each of their values is measured separately"`
	Bootstrap       int        `yaml:"bootstrap" min:"0" max:"100000" doc:"bootstrap resamples for the 95 % intervals; 0 for none"`
	Cluster         string     `yaml:"cluster" doc:"column that groups dependent rows, such as object: the bootstrap resamples whole groups"`
	Baselines       []Baseline `yaml:"baselines" enum:"majority,nearest_centroid,logistic" doc:"baselines to compare models with: majority; on features also nearest_centroid and logistic (logistic regression); for fine-tuned networks, logistic is fitted on the features of their backbone before training, unless computing these would take hours; [] for none"`
	Kappa           bool       `yaml:"kappa" doc:"also measure Cohen's kappa, and quadratic kappa, for which classes are in the order of their names, such as grades 0 to 4"`
	Specificity     float64    `yaml:"specificity" min:"0" max:"1" doc:"also measure the sensitivity of each class at this specificity, such as 0.9: a point of the ROC curve of the measured rows; 0: not"`
	CalibrationBins int        `yaml:"calibration_bins" min:"1" max:"1000" doc:"confidence bins of equal width"`
	Task            string     `yaml:"task" doc:"of models with several tasks: the one to measure"`
	Threshold       *float64   `yaml:"threshold" min:"0" max:"1" doc:"of multi-label models: the probability from which a class counts as predicted; if not given, the one with the best micro F1 on the rows of split val, or 0.5 if there are none"`
	LabelErrors     int        `yaml:"label_errors" min:"0" max:"50" doc:"folds of the cross-validation by which likely label errors are looked for, on the features of all labelled rows; 0 for none"`
	Worst           int        `yaml:"worst" min:"0" doc:"how many of each model's most confident mistakes to keep"`
}

// Kind declares the stage.
func Kind() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "evaluate",
		Summary: "measure models on held-out rows, with baselines, intervals and paired tests",
		Doc: "Runs each model on its data and writes accuracy, top-k accuracy, precision, recall and F1, ROC-AUC, average precision, log loss, Brier " +
			"score and calibration error, over all rows, by class and by slice, with bootstrap intervals. The baselines majority " +
			"class and nearest centroid are measured as well. For multi-label models it writes mean average precision, micro and " +
			"macro F1, subset accuracy and Hamming loss, with the class frequencies as baseline; for regression models mean " +
			"absolute error, root mean squared error and R², with the mean of the training rows as baseline. Every pair of models " +
			"is compared on the rows they share, by McNemar's exact test and a paired bootstrap. Where rows are not independent, " +
			"set cluster to the column that groups them. Models on features are compared with logistic regression on these " +
			"features; fine-tuned networks with logistic regression on the features of their backbone before training, which is " +
			"fitted here and cached as a part, unless computing these features would take hours. Where a model was made by adapt, these and nearest " +
			"centroid are upper bounds and not baselines: they are trained on labels of the target. Likely label errors, in all splits, are " +
			"looked for by confident learning (Northcutt et al. 2021) on the out-of-fold answers of logistic regression. For images there is no nearest " +
			"centroid baseline unless data also names the features of another stage.",
		Example: `scores:
  uses: evaluate
  from: {model: head, data: features}
  with: {slices: [domain], cluster: object}`,
		Version: 14,
		Seeded:  true,
		Inputs: []pipeline.Port{
			{Name: "model", Kind: pipeline.Model, Many: true, Doc: "the models to measure"},
			{Name: "data", Kind: pipeline.Features, Also: []pipeline.PortKind{pipeline.Images, pipeline.Text}, Many: true, Doc: "the input of the models, features, images or tokens: one table for all, or one for each"},
		},
		Outputs: []pipeline.Port{
			{Name: "metrics", Kind: pipeline.Metrics, Doc: "one row per value: model, role, slice, metric, class, value, low, high, rows"},
			{Name: "predictions", Kind: pipeline.Predictions, Doc: "one row per model and input: the columns of the data, model, predicted, probabilities"},
			{Name: "comparison", Kind: pipeline.Metrics, Doc: "one row per pair of models: difference of accuracy, its interval, McNemar's test; for numbers, difference of the mean absolute error, with the sign test"},
			{Name: "confusion", Kind: pipeline.Metrics, Doc: "how many rows of each class were predicted as each class"},
			{Name: "calibration", Kind: pipeline.Metrics, Doc: "accuracy by bins of confidence"},
			{Name: "curves", Kind: pipeline.Metrics, Doc: "points of the ROC and precision-recall curves of each model, one class against the rest and averaged over the classes"},
			{Name: "label_errors", Kind: pipeline.Metrics, Doc: "rows of any split whose label is probably wrong, by confident learning: id, split, label, suggested, probability, confidence"},
			{Name: "duplicates", Kind: pipeline.Metrics, Doc: "evaluated rows that look like a row of another split, by perceptual hash"},
			{Name: "mistakes", Kind: pipeline.Metrics, Doc: "the most confident wrong answers of each model"},
		},
	}, Params{
		Split:           record.Test,
		TopK:            3,
		Bootstrap:       1000,
		Baselines:       []Baseline{Majority, NearestCentroid, Logistic},
		CalibrationBins: 10,
		LabelErrors:     5,
		Worst:           24,
	}, build)
}

func build(p Params) (pipeline.Stage, error) {
	for i, column := range p.Slices {
		if slices.Contains(p.Slices[:i], column) {
			return nil, pipeline.ParamError(fmt.Sprintf("slices[%d]", i), "column %q is listed twice", column)
		}
	}
	return stage{p}, nil
}

type stage struct{ Params }

// Check refuses models trained on features that no data input has, and models that do not have the task.
func (s stage) Check(inputs map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	if err := classifier.CheckTask(s.Task, inputs["model"]); err != nil {
		return nil, err
	}
	for _, key := range []string{record.ExtractionKey, record.PreprocessingKey} {
		var given []string
		for _, data := range inputs["data"] {
			given = append(given, data[key])
		}
		for _, model := range inputs["model"] {
			// What is not said can be anything.
			if want := model[key]; want != "" && !slices.Contains(given, want) && !slices.Contains(given, "") {
				what := "features"
				if key == record.PreprocessingKey {
					what = "pictures"
				}
				return nil, fmt.Errorf("the data is not made as the %s that a model was trained on: %s", what, record.MadeDifferently(given[0], want))
			}
		}
	}
	return nil, nil
}

// Demands implements pipeline.Demanding.
func (s stage) Demands() []pipeline.Demand {
	return []pipeline.Demand{{Port: "data", Split: s.Split, Classes: 1, Why: "they are what is measured on"}}
}

// Numerics implements pipeline.Numeric: models answer, and measures are summed, in floats.
func (stage) Numerics() string { return kernel.Numerics() }

// Run implements pipeline.WholeTable.
func (s stage) Run(ctx context.Context, task *pipeline.Task) error {
	pairs, err := pairUp(task.Inputs["model"], task.Inputs["data"])
	if err != nil {
		return err
	}
	models, err := s.readModels(ctx, pairs)
	if err != nil {
		return err
	}
	s.tellTwins(task, pairs, models)
	tables := map[pipeline.Input]*table{}
	for i, p := range pairs {
		if tables[p.data] == nil {
			if tables[p.data], err = s.readTable(ctx, p.data, models[i].Head().Truth()); err != nil {
				return err
			}
		}
	}
	e := &evaluation{Params: s.Params, task: task, numbers: map[string]int{}}
	defer e.close()
	learned, err := taskOf(pairs, models)
	if err != nil {
		return err
	}
	if learned != record.SingleLabel {
		return e.measureTargets(ctx, learned, pairs, models, tables)
	}
	for i, p := range pairs {
		if err := e.enterModel(p.model, models[i], tables[p.data]); err != nil {
			return err
		}
	}
	if err := e.enterBaselines(ctx); err != nil {
		return err
	}
	return e.write(ctx)
}

// evaluation is a run in progress.
type evaluation struct {
	Params
	task       *pipeline.Task
	classes    []string       // of all models, in the order in which they come up
	numbers    map[string]int // of the classes
	candidates []*candidate
	closers    []func()

	// What was measured of the candidates so far:
	metrics     []record.Metric
	confusion   []record.Confusion
	calibration []record.CalibrationBin
	mistakes    []record.Mistake
	curves      []record.CurvePoint
}

func (e *evaluation) close() {
	for _, close := range e.closers {
		close()
	}
}

// classOf is the number of a class; -1 if no model knows it.
func (e *evaluation) classOf(name string) int {
	if class, ok := e.numbers[name]; ok {
		return class
	}
	return -1
}

// write lets every candidate answer, measures them, and writes all outputs. The
// probabilities of one candidate are in memory at a time.
func (e *evaluation) write(ctx context.Context) error {
	pool := kernel.NewPool(max(e.task.Threads, 1))
	defer pool.Close()
	p, err := newPredictions(e)
	if err != nil {
		return err
	}
	for i, r := range e.candidates {
		sample, err := e.answer(ctx, r, pool, p)
		if err != nil {
			return err
		}
		if err := e.measure(ctx, r, sample); err != nil {
			return err
		}
		e.task.Progress(int64(i+1), int64(len(e.candidates)), "model")
	}
	comparisons, err := e.comparisons(ctx, record.Accuracy)
	if err != nil {
		return err
	}
	e.tellBeaten(comparisons)
	e.tellTransfer(comparisons)
	e.tellUnmeasured()
	var tables []*table
	for _, c := range e.candidates {
		tables = append(tables, c.table)
	}
	duplicates, err := e.allDuplicates(ctx, tables)
	if err != nil {
		return err
	}
	issues, search, err := e.labelErrors(ctx)
	if err != nil {
		return err
	}
	about := record.Evaluation{Split: e.Split, Resamples: e.Bootstrap, Cluster: e.Cluster}.Encode()
	return errors.Join(
		p.close(),
		e.task.WriteRecord("metrics", record.Evaluated(e.metrics, about)),
		e.task.WriteRecord("comparison", record.Evaluated(comparisons, about)),
		e.task.WriteRecord("confusion", record.Evaluated(e.confusion, about)),
		e.task.WriteRecord("calibration", record.Evaluated(e.calibration, about)),
		e.task.WriteRecord("curves", record.Evaluated(e.curves, about)),
		e.task.WriteRecord("label_errors", record.Evaluated(issues, record.Evaluation{Split: e.Split, Labels: search}.Encode())),
		e.task.WriteRecord("duplicates", record.Evaluated(duplicates, about)),
		e.task.WriteRecord("mistakes", record.Evaluated(e.mistakes, about)),
	)
}

// tellUnmeasured logs the classes that models know and no measured row is of: nothing is said of how well they are told.
func (e *evaluation) tellUnmeasured() {
	known, measured := make([]bool, len(e.classes)), make([]bool, len(e.classes))
	for _, c := range e.candidates {
		for class, is := range c.known {
			known[class] = known[class] || is && !c.baseline
		}
		for _, class := range c.truth {
			measured[class] = true
		}
	}
	var names []string
	for class, name := range e.classes {
		if known[class] && !measured[class] {
			names = append(names, name)
		}
	}
	const most = 6
	switch n := len(names); {
	case n > most:
		e.task.Log("no evaluated row is of %d of the %d classes, among them %s", n, len(e.classes), strings.Join(names[:most], ", "))
	case n > 0:
		e.task.Log("no evaluated row is of class %s", strings.Join(names, ", "))
	}
}
