package adapt

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/domain"
	"github.com/tlpipe/tlpipe/internal/domain/method"
	"github.com/tlpipe/tlpipe/internal/domain/shift"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
)

// shift measures how far the domains lie apart, in the features as they come in, or on pictures as direct classifies by
// them, and in those that the chosen model classifies by; and draws maps of both.
func (r *run) shift(ctx context.Context) (measured []record.ShiftMeasure, points []record.MapPoint, err error) {
	before, after := r.baseline, r.chosen
	for _, at := range []struct {
		when string
		of   *candidate
		raw  bool
	}{{record.ShiftBefore, before, !r.rows.Pictures}, {record.ShiftAfter, after, false}} {
		source, target, err := r.features(ctx, at.of, at.raw)
		if err != nil {
			return nil, nil, err
		}
		answers, err := at.of.inference.Compute(ctx, &r.rows.Validation, r.positionsOf(objective.TargetDomain))
		if err != nil {
			return nil, nil, err
		}
		m, err := r.distances(ctx, at.when, source, target, answers[0])
		if err != nil {
			return nil, nil, err
		}
		measured = append(measured, m...)
		if at.when == record.ShiftBefore {
			causes, err := r.causes()
			if err != nil {
				return nil, nil, err
			}
			measured = append(measured, causes...)
		}
		drawn, err := r.maps(ctx, at.when, source.Features, target)
		if err != nil {
			return nil, nil, err
		}
		points = append(points, drawn...)
	}
	// Those of classes come after what is measured of all rows.
	slices.SortStableFunc(measured, func(a, b record.ShiftMeasure) int {
		ofClass := func(m record.ShiftMeasure) int {
			if m.Of != "" {
				return 1
			}
			return 0
		}
		return ofClass(a) - ofClass(b)
	})
	return measured, points, nil
}

// features are those of a sample of both domains' training rows: raw, as they came in, or those that the last layer of a
// candidate's network takes.
func (r *run) features(ctx context.Context, c *candidate, raw bool) (source domain.Labelled, target domain.Features, err error) {
	sides := [2][]int{r.positionsOf(rows.Sampled), r.positionsOf(objective.TargetDomain)}
	var values [2]domain.Features
	l := method.LayersOf(c.inference.Net)
	input := c.inference.Net.Inputs()[0].Name
	for i, positions := range sides {
		if table, ok := r.rows.Validation.Examples.(*train.Table); ok && (raw || l.Penultimate == input) {
			values[i] = domain.Features{Width: table.Width, Values: table.Values}.At(positions)
			continue
		}
		x, err := c.inference.Compute(ctx, &r.rows.Validation, positions, l.Penultimate)
		if err != nil {
			return source, target, err
		}
		values[i] = domain.Features{Width: len(x[0]) / max(len(positions), 1), Values: x[0]}
	}
	source = domain.Labelled{Features: values[0], Count: len(r.rows.Classes)}
	for _, at := range sides[0] {
		source.Classes = append(source.Classes, int(r.rows.Validation.Oracle[at]))
	}
	return source, values[1], nil
}

// distances are the measures of shift.
//
// answers are a model's probabilities for the target's rows, which have no classes but those.
func (r *run) distances(ctx context.Context, when string, source domain.Labelled, target domain.Features, answers []float32) (out []record.ShiftMeasure, err error) {
	n := int64(source.Rows() + target.Rows())
	row := func(measure string, value float64, text string) record.ShiftMeasure {
		return record.ShiftMeasure{When: when, Measure: measure, Value: value, Low: nan, High: nan, P: nan, Rows: n, Text: text}
	}
	const least = 8
	if source.Rows() < least || target.Rows() < least {
		return []record.ShiftMeasure{row("a_distance", nan, "too few rows to measure the shift")}, nil
	}
	a, err := shift.ProxyADistance(ctx, source.Features, target, nil, r.task.Seed, r.task.Threads)
	if err != nil {
		return nil, err
	}
	m := row("a_distance", a.Value, fmt.Sprintf("a classifier tells the domains apart on %.0f %% of rows held out: proxy A-distance %.2f of at most 2", 100*(1-a.Error), a.Value))
	m.Low, m.High, m.Rows, m.Alarm = a.Low, a.High, int64(a.Held), a.Low > 1
	out = append(out, m)
	mmd, err := shift.MeanDiscrepancy(ctx, source.Features, target, r.task.Seed, r.task.Threads)
	if err != nil {
		return nil, err
	}
	m = row("mmd", mmd.Value, fmt.Sprintf("squared maximum mean discrepancy %.3g, unbiased; permutation test that there is no shift: p %.2g", mmd.Value, mmd.PValue))
	m.P, m.Rows = mmd.PValue, int64(mmd.Rows)
	out = append(out, m)
	for _, d := range shift.MeanDistances(source, domain.Labelled{Features: target, Classes: predicted(answers, source.Count), Count: source.Count}) {
		if math.IsNaN(d.Distance) {
			continue
		}
		m := row("mean_distance", d.Distance, fmt.Sprintf("the means lie %.2f apart, in root mean squared distances of the source's rows from theirs", d.Distance))
		if d.Class >= 0 {
			m.Of, m.Rows = r.rows.Classes[d.Class], int64(d.Rows+d.Target)
			m.Text = fmt.Sprintf("%s: %s; %d rows of the target are taken for it", m.Of, m.Text, d.Target)
		}
		out = append(out, m)
	}
	trained := r.trained()
	priors, err := shift.ExpectationMaximisation(answers, trained)
	if err != nil {
		return nil, err
	}
	for class, frequency := range priors.Frequencies {
		m := row("class_frequency", frequency, fmt.Sprintf("%s: %.1f %% of the target by expectation maximisation over the model's predictions, %.1f %% of the source's training rows", r.rows.Classes[class], 100*frequency, 100*trained[class]))
		m.Of, m.Rows = r.rows.Classes[class], int64(target.Rows())
		if priors.Note != "" {
			m.Text += "; rough: " + priors.Note
		}
		out = append(out, m)
	}
	return out, nil
}

// causes are what is simple to see of the pictures of both domains, the largest effect first. Of features there is the size of the
// pictures that they were computed from alone.
func (r *run) causes() (out []record.ShiftMeasure, err error) {
	causes, rows, err := r.looks()
	if err != nil {
		return nil, err
	}
	size, measured, err := r.sizes()
	if err != nil {
		return nil, err
	}
	if measured > 0 {
		causes, rows = append(causes, size), measured
	}
	slices.SortStableFunc(causes, func(a, b shift.Cause) int { return cmp.Compare(math.Abs(b.Effect), math.Abs(a.Effect)) })
	for _, c := range causes {
		text := "%s: %.3f on average in the source, %.3f in the target; the difference is %.1f standard deviations"
		if c.Name == sizeCause {
			text = "%s of the original images, the square root of width times height: %.0f pixels on average in the source, %.0f in the target; the difference is %.1f standard deviations"
			if c.Effect > mostDeviations || c.Effect < -mostDeviations { // the sizes of each domain hardly vary
				c.Effect = math.Copysign(mostDeviations, c.Effect)
				text = strings.Replace(text, "the difference is %.1f", "the difference is %.0f or more", 1)
			}
		}
		out = append(out, record.ShiftMeasure{
			When: record.ShiftBefore, Measure: c.Name, Value: c.Effect, Low: nan, High: nan, P: nan, Rows: int64(rows), Text: fmt.Sprintf(text, c.Name, c.Source, c.Target, c.Effect),
		})
	}
	return out, nil
}

const (
	// sizeCause is the name of the measure of original sizes.
	sizeCause = "size"
	// mostDeviations bounds the effect of sizes: those of one camera do not vary at all.
	mostDeviations = 100
)

// sizes compares those of the original pictures, on so many rows; none if they are not known.
func (r *run) sizes() (c shift.Cause, rows int, err error) {
	var sides [2][]float64
	for i, of := range []int32{sampled, objective.TargetDomain} {
		for _, at := range r.positionsOf(of) {
			size := r.rows.Validation.Sizes[at]
			if math.IsNaN(size) {
				return c, 0, nil
			}
			sides[i] = append(sides[i], size)
		}
	}
	if len(sides[0]) < 2 || len(sides[1]) < 2 {
		return c, 0, nil
	}
	c, err = shift.CauseOf(sizeCause, sides[0], sides[1])
	return c, len(sides[0]) + len(sides[1]), err
}

// looks compares how the pictures of both domains look, on so many rows; none of features, or if they are kept as numbers that are
// normalised already.
func (r *run) looks() (causes []shift.Cause, rows int, err error) {
	if !r.rows.Pictures {
		return nil, 0, nil
	}
	var sides [2][]shift.Look
	for i, of := range []int32{sampled, objective.TargetDomain} {
		for _, at := range r.positionsOf(of) {
			pixels, height, width, err := r.rows.Pixels(r.rows.Validation.Places[at])
			if err != nil || pixels == nil {
				return nil, 0, err
			}
			look, err := shift.LookOf(pixels, height, width)
			if err != nil {
				return nil, 0, err
			}
			sides[i] = append(sides[i], look)
		}
	}
	if len(sides[0]) < 2 || len(sides[1]) < 2 {
		return nil, 0, nil
	}
	causes, err = shift.Causes(sides[0], sides[1])
	return causes, len(sides[0]) + len(sides[1]), err
}

// sampled is the domain of a sample of the source's training rows.
const sampled = rows.Sampled

// predicted are the classes that a model gives rows, by its probabilities.
func predicted(probabilities []float32, classes int) []int {
	out := make([]int, len(probabilities)/classes)
	for i := range out {
		out[i] = method.MostProbable(probabilities[i*classes : (i+1)*classes])
	}
	return out
}
