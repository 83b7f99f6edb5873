package evaluate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	zoo "github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/features"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/shallow"
	"github.com/tlpipe/tlpipe/pipeline"
)

// frozenWork is how many multiply-adds the features of the rows to fit to may take: minutes on two cores.
const frozenWork = 2e13

// enterFrozen fits logistic regression to the features that backbones make of a table's pictures before any training: those
// that its models started from. A fine-tuned network that is no better could have been left alone.
func (e *evaluation) enterFrozen(ctx context.Context, t *table, tables int, known []bool) ([]*candidate, error) {
	var origins []record.Origin
	model := map[record.Origin]string{} // the first that has it
	for _, c := range e.candidates {
		if c.table == t && c.frozen.Backbone != "" && !slices.Contains(origins, c.frozen) {
			origins = append(origins, c.frozen)
			model[c.frozen] = c.name
		}
	}
	var out []*candidate
	for _, origin := range origins {
		if zoo.WasSpelled(origin) {
			continue // there is nothing to hold it against
		}
		answers, err := e.fitFrozen(ctx, t, origin, known)
		if why := new(notHeldError); errors.As(err, &why) {
			e.task.Log("%s is not held against logistic regression on its frozen features: %s", model[origin], why)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("logistic regression on the frozen features of %s: %w", origin.Backbone, err)
		}
		name := record.LogisticRegression + " on frozen features" + e.ofTarget(t, ", ")
		if len(origins) > 1 {
			name += fmt.Sprintf("[backbone=%s,weights=%s]", origin.Backbone, origin.Weights)
		}
		out = append(out, &candidate{name: baselineName(name, t, tables), baseline: true, bound: e.adaptedTo(t), table: t, known: known, answerer: answers, frozen: origin})
	}
	return out, nil
}

// notHeldError says why there is no baseline.
type notHeldError struct{ why string }

func (e *notHeldError) Error() string { return e.why }

func notHeld(format string, args ...any) error { return &notHeldError{fmt.Sprintf(format, args...)} }

// frozenRecipe is what decides the baseline but the data.
type frozenRecipe struct {
	Extraction string   `yaml:"extraction"`
	Classes    []string `yaml:"classes"` // in the order of the evaluation
}

// classifierOutput is the result of the part.
const classifierOutput = "classifier"

// fitFrozen fits the baseline, or takes it from the cache.
func (e *evaluation) fitFrozen(ctx context.Context, t *table, origin record.Origin, known []bool) (answerer, error) {
	extractor, extraction, work, err := e.frozenExtractor(ctx, t, origin)
	if err != nil {
		return nil, err
	}
	e.closers = append(e.closers, extractor.Close)
	rows, err := t.count(ctx, learnedFrom)
	if err != nil {
		return nil, err
	}
	if float64(work)*float64(rows) > frozenWork {
		return nil, notHeld("the features of %d rows to fit to would take %.0f multiply-adds, more than %.0f", rows, float64(work)*float64(rows), float64(frozenWork))
	}
	answers := &frozenAnswers{extractor: extractor, threads: max(e.task.Threads, 1)}
	part := pipeline.Part{Name: "frozen features", Recipe: partOf(t, frozenRecipe{extraction.Encode(), e.classes}), Inputs: map[string]pipeline.Input{"data": t.input}, Numerics: kernel.Numerics()}
	result, err := e.task.Part(ctx, part, func(ctx context.Context, task *pipeline.Task) error {
		fitted, err := e.learnFrozen(ctx, t, answers, known)
		if err != nil {
			return err
		}
		model := record.Model{}
		if fitted != nil {
			classes := len(fitted.linear.Bias)
			model.Tensors = []record.Tensor{
				{Name: "weight", Shape: []int{classes, len(fitted.linear.Weights) / classes}, Data: fitted.linear.Weights},
				{Name: "bias", Shape: []int{classes}, Data: fitted.linear.Bias},
			}
		}
		rec, err := model.Record()
		if err != nil {
			return err
		}
		defer rec.Release()
		w, err := task.Output(classifierOutput, rec.Schema())
		if err != nil {
			return err
		}
		return errors.Join(w.Write(rec), w.Close())
	})
	if err != nil {
		return nil, err
	}
	answers.logistic = &logisticAnswers{linear: &shallow.Linear{}, places: placesOf(known), classes: len(known)}
	for rec, err := range result[classifierOutput].Batches(ctx) {
		if err != nil {
			return nil, err
		}
		model, err := record.ParseModel(rec)
		if err != nil {
			return nil, err
		}
		for _, tensor := range model.Tensors {
			switch tensor.Name {
			case "weight":
				answers.logistic.linear.Weights = tensor.Data
			case "bias":
				answers.logistic.linear.Bias = tensor.Data
			}
		}
	}
	if len(answers.logistic.linear.Bias) != len(answers.logistic.places) {
		return nil, notHeld("the rows to fit to are of one class")
	}
	return answers, nil
}

// count counts the rows that pass.
func (t *table) count(ctx context.Context, passes func(r rowView, i int) bool) (n int, err error) {
	for rec, err := range t.rows.Batches(ctx) {
		if err != nil {
			return 0, err
		}
		rows, err := t.viewRows(rec)
		if err != nil {
			return 0, fmt.Errorf("data %s: %w", t.input.Name(), err)
		}
		for i := range rows.count {
			if passes(rows, i) {
				n++
			}
		}
	}
	return n, nil
}

// learnedFrom tells whether a baseline learns from a row, or chooses its penalty by it.
func learnedFrom(r rowView, i int) bool {
	split := r.Split(i)
	return !r.label.IsNull(i) && (split == record.Train || split == record.Validation && !r.copied(i))
}

// learnFrozen computes the features and fits; nil if there is but one class.
func (e *evaluation) learnFrozen(ctx context.Context, t *table, a *frozenAnswers, known []bool) (*logisticAnswers, error) {
	width := a.extractor.Shape().Size()
	training, validation := shallow.Rows{Width: width}, shallow.Rows{Width: width}
	var pictures groups
	done := 0
	for batch, err := range t.examples(ctx, learnedFrom) {
		if err != nil {
			return nil, err
		}
		made := make([]float32, len(batch.at)*width)
		if err := a.features(batch.features, len(batch.at), made); err != nil {
			return nil, err
		}
		for k, row := range batch.at {
			class := e.classOf(batch.rows.label.Value(row))
			if class < 0 {
				continue
			}
			into := &validation
			if batch.rows.Split(row) == record.Train {
				into = &training
				pictures.add(batch.rows.ID(row))
			}
			into.Values, into.Classes = append(into.Values, made[k*width:(k+1)*width]...), append(into.Classes, class)
		}
		done += len(batch.at)
	}
	e.task.Log("frozen features of %d rows of %s computed, for logistic regression to compare with", done, t.input.Name())
	fitted, err := e.fitLogistic(ctx, training, pictures.of, validation, known)
	if logistic, ok := fitted.(*logisticAnswers); ok && err == nil {
		return logistic, nil
	}
	return nil, err
}

// frozenExtractor compiles the backbone as it was before training, and tells how it makes features and the multiply-adds that
// a picture takes.
func (e *evaluation) frozenExtractor(ctx context.Context, t *table, origin record.Origin) (_ *features.Extractor, made record.Extraction, work int64, err error) {
	b, err := zoo.Find(origin.Backbone)
	if err != nil {
		return nil, made, 0, notHeld("%v", err)
	}
	if origin.Weights == zoo.FileWeights {
		return nil, made, 0, notHeld("its weights are those of a file, which only the stage that trained it knows")
	}
	reference := zoo.WeightsReference(origin.Weights)
	if origin.Weights == zoo.RandomWeights && origin.Variant != "" {
		reference = zoo.WeightsReference(origin.Variant + ":" + origin.Weights)
	}
	weights, err := b.Resolve(reference)
	if err != nil {
		return nil, made, 0, notHeld("%v", err)
	}
	if digest, err := weights.Digest(); err != nil || digest != origin.Digest {
		return nil, made, 0, notHeld("the weights of that name are others than those it started from")
	}
	if err := weights.Fetch(ctx, e.task.Log); err != nil {
		return nil, made, 0, notHeld("%v", err)
	}
	_, field, err := record.Column(t.schema, record.Image)
	if err != nil {
		return nil, made, 0, err
	}
	shape, _, err := record.TensorShape(field)
	if err != nil {
		return nil, made, 0, err
	}
	net, err := weights.Network(shape[0], shape[1])
	if err != nil {
		return nil, made, 0, err
	}
	made = record.Extraction{Backbone: b.Name, Variant: origin.Variant, Weights: origin.Weights, Digest: origin.Digest, Seed: origin.Seed, Layer: b.Pooled, Precision: "fp32"}
	if net, err = net.Cut(made.Layer); err != nil {
		return nil, made, 0, err
	}
	extractor, err := features.New(made, weights, shape[0], shape[1], max(e.task.Threads, 1))
	return extractor, made, net.MultiplyAdds(), err
}

// frozenAnswers are those of logistic regression on features that are computed of pictures.
type frozenAnswers struct {
	extractor *features.Extractor
	logistic  *logisticAnswers
	threads   int
}

// features computes the features of n pictures.
func (a *frozenAnswers) features(pixels []float32, n int, out []float32) error {
	size, width := a.extractor.InputShape().Size(), a.extractor.Shape().Size()
	w := a.extractor.Take(batchRows, a.threads)
	defer a.extractor.GiveBack(w)
	for from := 0; from < n; from += batchRows {
		m := min(batchRows, n-from)
		copy(w.Input, pixels[from*size:(from+m)*size])
		if err := w.Run(m, out[from*width:(from+m)*width]); err != nil {
			return err
		}
	}
	return nil
}

func (a *frozenAnswers) answer(pixels []float32, n int, out []float32) error {
	made := make([]float32, n*a.extractor.Shape().Size())
	if err := a.features(pixels, n, made); err != nil {
		return err
	}
	return a.logistic.answer(made, n, out)
}

// tellBeaten logs which models are not better than the logistic regression on their features. Adapted ones need not be: it knows
// labels that they do without.
func (e *evaluation) tellBeaten(comparisons []record.Comparison) {
	byName := map[string]*candidate{}
	for _, c := range e.candidates {
		byName[c.name] = c
	}
	for _, c := range comparisons {
		model, logistic := byName[c.A], byName[c.B]
		if model.baseline || model.adapted || !strings.HasPrefix(logistic.name, record.LogisticRegression) || model.table != logistic.table || model.frozen != logistic.frozen ||
			c.Difference > 0 || c.OnlyA+c.OnlyB == 0 {
			continue
		}
		interval := ""
		if !math.IsNaN(c.Low) {
			interval = fmt.Sprintf("95 %% interval %+.1f to %+.1f; ", 100*c.Low, 100*c.High)
		}
		e.task.Log("%s does not beat %s: %+.1f points on %d rows (%spaired test, p = %.2g)", c.A, c.B, 100*c.Difference, c.Rows, interval, c.PAdjusted)
	}
}
