package choose

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/domain/method"
	"github.com/tlpipe/tlpipe/internal/domain/validator"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Params are the parameters of the stage.
type Params struct {
	By string `yaml:"by" enum:"source_accuracy,im,bnm,snd,dev,ensemble" doc:"the validator, as in select of the stage adapt; ensemble: the mean of the ranks that all of them give, among the candidates"`
}

// Names of the ports.
const (
	modelsPort     = "models"
	selectionsPort = "selections"
)

// Kind declares the stage.
func Kind() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "choose",
		Summary: "choose between adapted models, such as those of a matrix, without labels of the target",
		Doc: "Takes the models and selections of several stages of kind adapt, or of the instances of a matrix, and passes on the model that " +
			"a validator ranks first; of equal ones, the first in order. The output selection lists all candidates, with their accuracy on labelled test rows " +
			"of the target, if there are any; this accuracy is called oracle and does not affect the choice.",
		Example: `best:
  uses: choose
  from: {models: adapted, selections: adapted.selection}
  with: {by: im}`,
		Version: 2,
		Inputs: []pipeline.Port{
			{Name: modelsPort, Kind: pipeline.Model, Many: true, Doc: "models of the stage adapt"},
			{Name: selectionsPort, Kind: pipeline.Metrics, Many: true, Doc: "the output selection of each of the same stages"},
		},
		Outputs: []pipeline.Port{
			{Name: "model", Kind: pipeline.Model, Doc: "the chosen model, unchanged"},
			{Name: "selection", Kind: pipeline.Metrics, Doc: "all candidates, the baseline direct first"},
			{Name: "diagnostics", Kind: pipeline.Metrics, Doc: "how good the choice was, where there are labels"},
		},
	}, Params{By: "im"}, func(p Params) (pipeline.Stage, error) { return stage{p}, nil })
}

// stage is the kind with its parameters filled in.
type stage struct{ Params }

// Numerics implements pipeline.Numeric: what is passed on has bits of these.
func (stage) Numerics() string { return kernel.Numerics() }

// Connect implements pipeline.Connected: every model comes with its selection, and no selection without its model.
func (stage) Connect(inputs map[string][]pipeline.NodeOutput) error {
	var errs []error
	var models, selections []string
	for _, c := range inputs[modelsPort] {
		switch {
		case c.Port != "model":
			errs = append(errs, fmt.Errorf("models: %s.%s cannot be chosen: connect %s, whose selection tells of its model", c.Node, c.Port, c.Node))
		case slices.Contains(models, c.Node):
			errs = append(errs, fmt.Errorf("models: %s is connected twice", c.Node))
		}
		models = append(models, c.Node)
	}
	for _, c := range inputs[selectionsPort] {
		switch {
		case c.Port != "selection":
			errs = append(errs, fmt.Errorf("selections: %s.%s is not a selection: connect the output selection of a stage of kind adapt", c.Node, c.Port))
			continue // whose model is not asked for
		case slices.Contains(selections, c.Node):
			errs = append(errs, fmt.Errorf("selections: %s.selection is connected twice", c.Node))
		case !slices.Contains(models, c.Node):
			errs = append(errs, fmt.Errorf("selections: %s.selection is connected without its model: connect %s to models", c.Node, c.Node))
		}
		selections = append(selections, c.Node)
	}
	for _, node := range models {
		if len(errs) == 0 && !slices.Contains(selections, node) {
			errs = append(errs, fmt.Errorf("models: %s is connected without its selection: connect %s.selection to selections; models are those of stages of kind adapt", node, node))
		}
	}
	return errors.Join(errs...)
}

// Check implements pipeline.Stage.
func (stage) Check(inputs map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	models := inputs[modelsPort]
	for _, key := range []string{record.ExtractionKey, record.PreprocessingKey} {
		for _, m := range models {
			if m[key] != models[0][key] {
				return nil, fmt.Errorf("the models expect rows that were prepared in different ways: %s, and %s", models[0][key], m[key])
			}
		}
	}
	if len(models) == 0 { // the stages that make them have mistakes of their own
		return map[string]pipeline.Traits{"model": {}}, nil
	}
	return map[string]pipeline.Traits{"model": models[0]}, nil
}

// Run implements pipeline.WholeTable.
func (s stage) Run(ctx context.Context, task *pipeline.Task) error {
	models := task.Inputs[modelsPort]
	selections := map[string]pipeline.Input{}
	for _, in := range task.Inputs[selectionsPort] {
		selections[strings.TrimSuffix(in.Name(), ".selection")] = in // as stages name an output that is not their only one of a kind
	}
	var trials []record.AdaptationTrial
	var from []pipeline.Input // the models of the trials; nil for one that cannot be chosen
	for _, model := range models {
		in := selections[model.Name()]
		if in == nil { // Connect has refused it
			return fmt.Errorf("the model of %s has no selection", model.Name())
		}
		all, err := record.ReadRows[record.AdaptationTrial](in.Batches(ctx))
		if err != nil {
			return fmt.Errorf("%s.selection: %w", model.Name(), err)
		}
		for _, t := range all {
			of := model
			switch {
			case t.Chosen:
			case t.Method == method.Direct && t.Best && math.IsNaN(t.P) && len(trials) == 0:
				of = nil // to compare with, not to choose
			default:
				continue
			}
			t.Candidate = model.Name() + ": " + t.Candidate
			trials, from = append(trials, t), append(from, of)
		}
	}
	validator.RankTrials(trials)
	at := s.best(trials, from)
	if at < 0 {
		return fmt.Errorf("%s cannot rank the %d models: use another validator", s.By, len(models))
	}
	for i := range trials {
		trials[i].Chosen = i == at
	}
	task.Log("%s by %s", trials[at].Candidate, s.By)
	for _, d := range gain(trials, at) {
		if d.Alarm {
			task.Log("%s", d.Text)
		}
	}
	return errors.Join(pass(ctx, task, from[at]), task.WriteRecord("selection", record.FromRows(trials)), task.WriteRecord("diagnostics", record.FromRows(regret(trials, from, at))))
}

// best is the trial that the validator prefers, of those that have a model; −1 if it cannot tell.
func (s stage) best(trials []record.AdaptationTrial, from []pipeline.Input) int {
	best, most := -1, math.Inf(-1)
	for i, t := range trials {
		if g := validator.Goodness(t, s.By); from[i] != nil && g > most {
			best, most = i, g
		}
	}
	return best
}

// regret tells how far the choice is from the best model by the labels of the test rows.
func regret(trials []record.AdaptationTrial, from []pipeline.Input, chosen int) []record.Diagnostic {
	oracle := chosen
	for i, t := range trials {
		if from[i] != nil && t.Oracle > trials[oracle].Oracle {
			oracle = i
		}
	}
	own, most := trials[chosen].Oracle, trials[oracle].Oracle
	if math.IsNaN(own) || math.IsNaN(most) {
		return nil
	}
	nan := math.NaN()
	return append(gain(trials, chosen), record.Diagnostic{Name: record.ChoiceRegret, Value: most - own, Low: nan, High: nan, Rows: trials[chosen].OracleRows,
		Text: fmt.Sprintf("the oracle, which knows the test rows' labels, would have chosen %s: %.1f %%, and what was chosen has %.1f %%", trials[oracle].Candidate, 100*most, 100*own)})
}

// gain holds the chosen model against direct of its own stage, as the paired test of that stage has it.
func gain(trials []record.AdaptationTrial, chosen int) []record.Diagnostic {
	c := trials[chosen]
	if math.IsNaN(c.P) || c.OracleRows == 0 || c.Method == method.Direct {
		return nil
	}
	nan := math.NaN()
	direct := c.Oracle - float64(c.Gained-c.Lost)/float64(c.OracleRows)
	d := record.Diagnostic{Name: record.AdaptationGain, Value: c.Oracle - direct, Low: nan, High: nan, Rows: c.OracleRows, Alarm: c.Gained < c.Lost && c.P < 0.05,
		Text: fmt.Sprintf("%s has %.1f %% of the target's test rows right, direct of its stage %.1f %%: %d won, %d lost, p %.2g", c.Candidate, 100*c.Oracle, 100*direct, c.Gained, c.Lost, c.P)}
	if d.Alarm {
		d.Text += ": adapting does harm here"
	}
	return []record.Diagnostic{d}
}

// pass writes a model as it is.
func pass(ctx context.Context, task *pipeline.Task, model pipeline.Input) (err error) {
	schema, err := model.Schema(ctx)
	if err != nil {
		return err
	}
	w, err := task.Output("model", schema)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	for rec, err := range model.Batches(ctx) {
		if err != nil {
			return err
		}
		if err := w.Write(rec); err != nil {
			return err
		}
	}
	return nil
}
