package transfer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/nn/prune"
	"github.com/tlpipe/tlpipe/internal/nn/quantise"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/internal/transfer/teacher"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Student is a network that is compared with its teachers.
type Student struct {
	Role  string // of package record
	Name  string
	Model *classifier.Classifier
}

// Comparison is how students do on the validation rows, beside their teachers.
type Comparison struct {
	Sizes    []record.ModelSize
	Softened []record.SoftenedProbability
}

// picturesShown is how many pictures the softened distributions are of.
const picturesShown = 4

// Compare measures students and teachers on the validation rows: accuracy, agreement, and the distributions over the classes of a few
// pictures, as the networks give them and at the temperature of the losses. Teachers are asked through the cache.
func (s *Setup) Compare(ctx context.Context, task *pipeline.Task, students ...Student) (_ *Comparison, err error) {
	in := task.Input(DataPort)
	schema, err := in.Schema(ctx)
	if err != nil {
		return nil, err
	}
	d, err := rows.Read(ctx, in, schema, string(s.Target), rows.Options{Unlabelled: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	g, err := s.readTeachers(ctx, task, d)
	if err != nil {
		return nil, err
	}
	if err := d.Renumber(students[0].Model.Head()); err != nil {
		return nil, err
	}
	for _, t := range g.teachers {
		order, err := t.Order(d.Classes)
		if err != nil {
			return nil, err
		}
		g.orders = append(g.orders, order)
	}
	told, err := g.ask(ctx, task, d, s.Copies, s.PrefixPrecision)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, told.close()) }()

	c := &comparing{d: d, positions: d.Validation.Spread(math.MaxInt), temperature: s.guidance.Losses.Temperature()}
	its := make([]float32, len(c.positions)*len(d.Classes))
	if err := told.mean(&d.Validation, c.positions, its); err != nil {
		return nil, err
	}
	for i, t := range g.teachers {
		logits := its
		if len(g.teachers) > 1 {
			only := &lessons{guide: &guide{Guidance: &Guidance{}, orders: g.orders[i : i+1]}, logits: told.logits[i : i+1]}
			logits = make([]float32, len(its))
			if err := only.mean(&d.Validation, c.positions, logits); err != nil {
				return nil, err
			}
		}
		c.size(t.Network, t.Weights, t.Quantised, record.RoleTeacher, t.Name, logits, its)
	}
	if err := c.soften(record.RoleTeacher, its); err != nil {
		return nil, err
	}
	for _, student := range students {
		own, err := c.logits(ctx, task.Threads, student.Model)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", student.Role, err)
		}
		c.size(student.Model.Network, student.Model.Weights, student.Model.Description.Quantisation, student.Role, student.Name, own, its)
		if err := c.soften(student.Role, own); err != nil {
			return nil, err
		}
	}
	return &c.Comparison, nil
}

// comparing is a comparison under way.
type comparing struct {
	Comparison
	d           *rows.Data
	positions   []int // of the validation rows
	temperature float64
}

// logits are those of a student for the validation rows, in the order of the data's classes; a class that it does not know has the
// least there is.
func (c *comparing) logits(ctx context.Context, threads int, m *classifier.Classifier) ([]float32, error) {
	net, err := m.Network.Cut(m.Network.Output().Inputs[0])
	if err != nil {
		return nil, err
	}
	own, err := compute(ctx, threads, net, m.Weights.Select(net), &c.d.Validation, c.positions)
	if err != nil {
		return nil, err
	}
	names := m.Head().Classes
	if slices.Equal(names, c.d.Classes) {
		return own, nil
	}
	out := make([]float32, 0, len(c.positions)*len(c.d.Classes))
	for row := range c.positions {
		for _, class := range c.d.Classes {
			logit := float32(-math.MaxFloat32)
			if at := slices.Index(names, class); at >= 0 {
				logit = own[row*len(names)+at]
			}
			out = append(out, logit)
		}
	}
	return out, nil
}

// bytesOf are those of a network's tensors as they rest.
func bytesOf(net *nn.Network, quantised *record.Quantisation) (bytes int64) {
	for _, l := range net.Layers() {
		able := quantised != nil && quantise.HasWeight(l.Op) && !slices.Contains(quantised.Float, l.Name)
		for _, p := range net.LayerParameters(l) {
			size := int64(p.Shape.Size())
			switch {
			case !able || p.Role != nn.Weight:
				bytes += 4 * size
			case quantised.Weights == record.Int8Tensor:
				bytes += size + 4*int64(p.Shape[0])
			default:
				bytes += 2 * size
			}
		}
	}
	return bytes
}

// size adds a row of a network, by its logits for the validation rows and those of the teachers.
func (c *comparing) size(net *nn.Network, weights nn.Weights, quantised *record.Quantisation, role, name string, logits, its []float32) {
	all, _ := net.ParameterCount()
	row := record.ModelSize{
		Model: name, Role: role, Parameters: all, MultiplyAdds: net.MultiplyAdds(), Bytes: bytesOf(net, quantised), Nonzero: prune.Nonzero(net, weights), Rows: int64(len(c.positions)),
		Accuracy: math.NaN(), Low: math.NaN(), High: math.NaN(), Agreement: math.NaN(), AgreementLow: math.NaN(), AgreementHigh: math.NaN(),
	}
	if n, width := len(c.positions), len(c.d.Classes); n > 0 {
		var right, alike float64
		for i := range n {
			answer := metrics.MostProbable(logits[i*width : (i+1)*width])
			if answer == c.d.Validation.Classes[i] {
				right++
			}
			if answer == metrics.MostProbable(its[i*width:(i+1)*width]) {
				alike++
			}
		}
		interval := metrics.Wilson(right, float64(n))
		row.Accuracy, row.Low, row.High = right/float64(n), interval.Low, interval.High
		interval = metrics.Wilson(alike, float64(n))
		row.Agreement, row.AgreementLow, row.AgreementHigh = alike/float64(n), interval.Low, interval.High
	}
	c.Sizes = append(c.Sizes, row)
}

// soften adds the distributions of a few pictures.
func (c *comparing) soften(role string, logits []float32) error {
	width := len(c.d.Classes)
	temperatures := []float64{1}
	if c.temperature != 1 {
		temperatures = append(temperatures, c.temperature)
	}
	for _, i := range c.d.Validation.Spread(picturesShown) {
		place := c.d.Validation.Places[i]
		id, err := c.d.Chunks[place.Chunk].ID(place.Row)
		if err != nil {
			return err
		}
		for _, temperature := range temperatures {
			for class, p := range teacher.Softened(logits[i*width:(i+1)*width], temperature) {
				c.Softened = append(c.Softened, record.SoftenedProbability{
					ID: id, Label: c.d.Classes[c.d.Validation.Classes[i]], Role: role, Temperature: temperature, Class: c.d.Classes[class], Probability: p,
				})
			}
		}
	}
	return nil
}

// Sizes measures networks on the validation rows of the task: accuracy, and agreement with the first of them. Rows that are none of
// the networks' classes are left out.
func Sizes(ctx context.Context, task *pipeline.Task, target string, networks ...Student) (_ []record.ModelSize, err error) {
	d, err := rowsFor(ctx, task, target, networks[0].Model)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	c := &comparing{d: d, positions: d.Validation.Spread(math.MaxInt)}
	var first []float32
	for _, network := range networks {
		own, err := c.logits(ctx, task.Threads, network.Model)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", network.Role, err)
		}
		if first == nil {
			first = own
		}
		c.size(network.Model.Network, network.Model.Weights, network.Model.Description.Quantisation, network.Role, network.Name, own, first)
	}
	return c.Comparison.Sizes, nil
}

// rowsFor reads the rows of the task for a model of pictures.
func rowsFor(ctx context.Context, task *pipeline.Task, target string, model *classifier.Classifier) (*rows.Data, error) {
	in := task.Input(DataPort)
	schema, err := in.Schema(ctx)
	if err != nil {
		return nil, err
	}
	d, err := rows.Read(ctx, in, schema, target, rows.Options{})
	if err != nil {
		return nil, err
	}
	if d.Task() != record.SingleLabel || !d.Pictures {
		return nil, errors.Join(errors.New("the data have no pictures of one class each"), d.Close())
	}
	if err := d.Renumber(model.Head()); err != nil {
		return nil, errors.Join(fmt.Errorf("the model: %w", err), d.Close())
	}
	if !slices.Equal(d.Shape, model.InputShape()) {
		return nil, errors.Join(fmt.Errorf("the model takes pictures of shape %v, the data has %v", model.InputShape(), d.Shape), d.Close())
	}
	return d, nil
}

// Importance is first-order Taylor importance (Molchanov et al. 2019, arXiv:1906.10771): for each output channel of a layer, the
// mean over batches of training rows, at most so many rows spread evenly, of (Σ weight·gradient)² over the weights that make it, as a share of the mean
// over the layer. The rows' labels are those of split train.
func Importance(ctx context.Context, task *pipeline.Task, target string, model *classifier.Classifier, most int) (_ map[string][]float64, err error) {
	d, err := rowsFor(ctx, task, target, model)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	out := map[string][]float64{}
	shapes := map[string]nn.Parameter{}
	for _, p := range model.Network.Parameters() {
		shapes[p.Name()] = p
	}
	o := train.Options{
		Epochs: 1, BatchSize: importanceBatch, Threads: task.Threads, Rule: optimizer.SGD{}, Rate: 1,
		BatchNorm: func(string) train.BatchNormMode { return train.FixedStatistics },
	}
	spread := chosen{d.Training, d.Training.Spread(most)}
	err = train.Gradients(ctx, model.Network, model.Weights, o, spread, func(parameter string, values, gradient []float32) {
		p := shapes[parameter]
		if p.Role != nn.Weight || len(p.Shape) < 2 {
			return
		}
		if out[p.Layer] == nil {
			out[p.Layer] = make([]float64, p.Shape[0])
		}
		each := len(values) / p.Shape[0]
		for c := range p.Shape[0] {
			var sum float64
			for i := c * each; i < (c+1)*each; i++ {
				sum += float64(values[i]) * float64(gradient[i])
			}
			out[p.Layer][c] += sum * sum
		}
	})
	if err != nil {
		return nil, err
	}
	for _, importance := range out {
		var mean float64
		for _, x := range importance {
			mean += x / float64(len(importance))
		}
		for i := range importance {
			if mean > 0 {
				importance[i] /= mean
			}
		}
	}
	return out, nil
}

// importanceBatch is how many rows a gradient is the mean of.
const importanceBatch = 16

// chosen are some of the examples.
type chosen struct {
	train.Examples
	positions []int
}

// Len implements train.Examples.
func (c chosen) Len() int { return len(c.positions) }

// Read implements train.Examples.
func (c chosen) Read(positions []int, into train.Batch) error {
	return c.Examples.Read(at(c.positions, positions), into)
}
