package quantise

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/adapter"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/nn/fold"
	"github.com/tlpipe/tlpipe/internal/nn/quantise"
	"github.com/tlpipe/tlpipe/internal/nn/simulate"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/pipeline"
)

// work is a run of the stage.
type work struct {
	stage
	task  *pipeline.Task
	given record.ModelSize       // of the model as it came in
	model *classifier.Classifier // folded
	data  *rows.Data             // nil: nothing is measured
	pool  *kernel.Pool
	size  int // numbers of a row

	simulation  *simulate.Simulation
	originals   []int                // training rows to find ranges on, spread over all
	learned     map[string]nn.Tensor // weights on their steps, by layer; nil: each to the nearest
	before      []float32            // what the model in float32 tells of the validation rows
	after       []float32            // what the quantised one tells of them
	sensitivity map[string]float64
	attempts    []record.GateAttempt
}

// open reads the model and the rows.
func (s stage) open(ctx context.Context, task *pipeline.Task) (q *work, err error) {
	stored, err := classifier.Read(ctx, task.Input(modelPort))
	if err != nil {
		return nil, err
	}
	if stored.Description.Quantisation != nil {
		return nil, fmt.Errorf("model %s is quantised already (%s)", task.Input(modelPort).Name(), stored.Description.Quantisation.Weights)
	}
	q = &work{stage: s, task: task, sensitivity: map[string]float64{}, pool: kernel.NewPool(max(task.Threads, 1))}
	opened := q // which an error's return takes from q
	defer func() {
		if err != nil {
			err = errors.Join(err, opened.close())
		}
	}()
	q.model = &classifier.Classifier{Description: stored.Description, Metadata: stored.Metadata}
	net, weights, err := adapter.Merge(stored.Network, stored.Weights)
	if err == nil {
		q.model.Network, q.model.Weights, err = fold.Fold(net, weights)
	}
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", task.Input(modelPort).Name(), err)
	}
	q.model.Description.Reference = nil // it answers a little otherwise
	if task.Recipe != nil {
		q.model.Description.Recipe = task.Recipe
	}
	q.size = q.model.InputShape().Size()
	if q.given, err = sizeOf(stored); err != nil {
		return nil, err
	}
	q.given.Model, q.given.Role = task.Input(modelPort).Name(), record.RoleUnquantised
	if s.Type != Int8 {
		return q, q.openMeasured(ctx)
	}
	in := task.Input(dataPort)
	schema, err := in.Schema(ctx)
	if err != nil {
		return nil, err
	}
	if schema == nil {
		return nil, fmt.Errorf("data %s has no rows", in.Name())
	}
	if q.data, err = rows.Read(ctx, in, schema, stored.Head().Name, rows.Options{}); err != nil {
		return nil, err
	}
	if err := q.data.Renumber(stored.Head()); err != nil {
		return nil, fmt.Errorf("model %s does not take the rows of %s: %w", task.Input(modelPort).Name(), in.Name(), err)
	}
	if n := q.data.Shape.Size(); n != q.size {
		return nil, fmt.Errorf("model %s takes %d numbers a row, those of %s have %d", task.Input(modelPort).Name(), q.size, in.Name(), n)
	}
	return q, nil
}

func (q *work) close() error {
	q.pool.Close()
	if q.data == nil {
		return nil
	}
	return q.data.Close()
}

// roundWeights makes the weights in memory those that will be read back.
func (q *work) roundWeights() error {
	rec, err := q.model.Record()
	if err != nil {
		return err
	}
	defer rec.Release()
	back, err := record.ParseModel(rec)
	if err != nil {
		return err
	}
	read, err := classifier.Parse(back)
	if err == nil {
		q.model = read
	}
	return err
}

// toInt8 finds ranges and lets the gate decide which layers stay in float32.
func (q *work) toInt8(ctx context.Context) (err error) {
	if q.Equalise {
		n := equalise(q.model.Network, q.model.Weights)
		q.task.Log("channels of %d pairs of layers were made equally large", n)
	}
	if q.before, err = q.answers(ctx, q.model); err != nil {
		return err
	}
	q.chooseRows()
	if q.simulation, err = simulate.New(q.model.Network, q.model.Weights, q.pool); err != nil {
		return err
	}
	scheme := &quantise.Scheme{}
	if scheme.Ranges, err = q.simulation.Ranges(ctx, q.examples, simulate.Calibration{Method: q.Ranges, Percentile: q.Percentile}); err != nil {
		return err
	}
	if err := q.train(ctx, scheme); err != nil {
		return err
	}
	if err := q.learn(ctx, scheme); err != nil {
		return err
	}
	if err := q.correct(ctx, scheme); err != nil {
		return err
	}
	weighted := q.weighted()
	most := int(q.MostFloat * float64(len(weighted)))
	var order []string
	for left := 0; ; left = min(max(2*left, 1), most) {
		tried := q.simulation.WithFloat(scheme, order[:min(left, len(order))]...)
		held, err := q.try(ctx, tried, left)
		if err != nil || held {
			return err
		}
		if left >= most {
			return q.failure(most)
		}
		if order == nil {
			if order, err = q.bySensitivity(ctx, scheme); err != nil {
				return err
			}
		}
	}
}

// weighted lists the layers with weights that can rest as bytes.
func (q *work) weighted() []nn.Layer {
	return slices.DeleteFunc(slices.Clone(q.model.Network.Layers()), func(l nn.Layer) bool { return !quantise.HasWeight(l.Op) })
}

// chooseRows chooses training rows, not their copies.
func (q *work) chooseRows() {
	for position, c := range q.data.Training.Copies {
		if c == 0 {
			q.originals = append(q.originals, position)
		}
	}
	q.originals = spread(q.originals, q.Rows)
}

// spread are up to n of some positions, evenly from all.
func spread(positions []int, n int) []int {
	out := make([]int, min(n, len(positions)))
	for i := range out {
		out[i] = positions[i*len(positions)/len(out)]
	}
	return out
}

// examples implements [simulate.Examples]: the rows to find ranges on.
func (q *work) examples(do func(x []float32, n int) error) error {
	for run := range slices.Chunk(q.originals, atOnce) {
		x, err := q.read(&q.data.Training, run)
		if err != nil {
			return err
		}
		if err := do(x, len(run)); err != nil {
			return err
		}
	}
	return nil
}

// fewExamples reads up to most of the rows to find ranges on.
func (q *work) fewExamples(most int) (x []float32, n int, err error) {
	few := spread(q.originals, most)
	x, err = q.read(&q.data.Training, few)
	return x, len(few), err
}

// read fetches rows.
func (q *work) read(from *rows.Examples, positions []int) ([]float32, error) {
	x := make([]float32, len(positions)*q.size)
	input := q.model.Network.Inputs()[0].Name
	err := from.Read(positions, train.Batch{Inputs: nn.Batch{input: {Float32: x}}})
	return x, err
}

// atOnce is how many validation rows are in memory at once.
const atOnce = 32

// each goes through the validation rows.
func (q *work) each(ctx context.Context, f func(x []float32, n int) error) error {
	n := q.data.Validation.Rows()
	for from := 0; from < n; from += atOnce {
		if err := ctx.Err(); err != nil {
			return err
		}
		positions := make([]int, min(atOnce, n-from))
		for i := range positions {
			positions[i] = from + i
		}
		x, err := q.read(&q.data.Validation, positions)
		if err != nil {
			return err
		}
		if err := f(x, len(positions)); err != nil {
			return err
		}
	}
	return nil
}

// answers are what a model tells of the validation rows, as it is computed wherever it is used.
func (q *work) answers(ctx context.Context, model *classifier.Classifier) ([]float32, error) {
	if q.data == nil {
		return nil, nil
	}
	program, err := model.Compile()
	if err != nil {
		return nil, err
	}
	session := program.NewSession(program.AtOnce(atOnce))
	width := program.OutputShape(0).Size()
	var out []float32
	err = q.each(ctx, func(x []float32, n int) error {
		y := make([]float32, n*width)
		out = append(out, y...)
		return session.Run(q.pool, x, n, out[len(out)-len(y):])
	})
	return out, err
}

// mostExamples is how many rows learned rounding and the correction of biases see: the values of all of them are in memory at
// once, for which there are mostBytes unless one row takes more.
const (
	mostExamples = 32
	mostBytes    = 512 << 20
)

// atHand is how many rows that is. The correction of biases computes them twice, side by side.
func (q *work) atHand() int {
	const sides, float = 2, 4
	return int(max(min(mostBytes/(sides*float*q.model.Network.Footprint().Peak), mostExamples), 1))
}

// learn chooses the steps of weights, if that is asked for.
func (q *work) learn(ctx context.Context, scheme *quantise.Scheme) (err error) {
	if q.Rounding != Learned {
		return nil
	}
	x, n, err := q.fewExamples(q.atHand())
	if err != nil {
		return err
	}
	q.task.Log("learning the rounding of each weight on %d rows", n)
	q.learned, err = q.simulation.LearnRounding(ctx, x, n, scheme,
		func(done, of int) { q.task.Progress(int64(done), int64(of), "layer") })
	return err
}

// rounded are the model's weights with those on their learned steps that a scheme computes with.
func (q *work) rounded(scheme *quantise.Scheme) nn.Weights {
	weights := maps.Clone(q.model.Weights)
	for _, l := range q.model.Network.Layers() {
		if t, ok := q.learned[l.Name]; ok && scheme.Computes(l) {
			weights[nn.Parameter{Layer: l.Name, Role: nn.Weight}.Name()] = t
		}
	}
	return weights
}

// correct moves biases, if that is asked for.
func (q *work) correct(ctx context.Context, scheme *quantise.Scheme) error {
	if !q.BiasCorrection {
		return nil
	}
	x, n, err := q.fewExamples(q.atHand())
	if err != nil {
		return err
	}
	biases, err := q.simulation.CorrectBias(ctx, x, n, scheme)
	if err != nil {
		return err
	}
	weights := maps.Clone(q.model.Weights)
	for layer, bias := range biases {
		weights[nn.Parameter{Layer: layer, Role: nn.Bias}.Name()] = nn.Tensor{Shape: nn.Shape{len(bias)}, Data: bias}
	}
	q.model.Weights = weights
	return nil
}

// bySensitivity orders the layers, the most sensitive first.
func (q *work) bySensitivity(ctx context.Context, scheme *quantise.Scheme) ([]string, error) {
	const most = 16 // rows: each layer takes a run over them
	x, n, err := q.fewExamples(most)
	if err != nil {
		return nil, err
	}
	q.task.Log("the gate does not hold: measuring the sensitivity of each layer on %d rows", n)
	measured, err := q.simulation.Sensitivity(ctx, x, n, scheme, q.model.Head().Task == record.SingleLabel,
		func(done, of int) { q.task.Progress(int64(done), int64(of), "layer") })
	if err != nil {
		return nil, err
	}
	q.sensitivity = measured
	order := slices.Sorted(maps.Keys(measured))
	slices.SortStableFunc(order, func(a, b string) int { return cmp.Compare(measured[b], measured[a]) })
	return order, nil
}

// try quantises by a scheme and asks the gate. left is how many layers are in float32.
func (q *work) try(ctx context.Context, scheme *quantise.Scheme, left int) (bool, error) {
	tried := *q.model
	tried.Weights = q.rounded(scheme)
	tried.Quantise(scheme, q.method())
	attempted := work{model: &tried}
	if err := attempted.roundWeights(); err != nil {
		return false, err
	}
	here, err := q.answers(ctx, attempted.model)
	if err != nil {
		return false, err
	}
	var rounded []float32
	err = q.each(ctx, func(x []float32, n int) error {
		y, err := q.simulation.Run(ctx, x, n, scheme, nil)
		rounded = append(rounded, y...)
		return err
	})
	if err != nil {
		return false, err
	}
	a := record.GateAttempt{Layers: int64(left), Rows: int64(q.data.Validation.Rows()), Tolerance: q.Tolerance, Drop: math.Inf(-1), Limit: math.Inf(-1)}
	before := q.scores(q.before)
	for _, of := range []struct {
		answers []float32
		mean    *float64
	}{{here, &a.After}, {rounded, &a.Rounded}} {
		after := q.scores(of.answers)
		a.Before, *of.mean = mean(before), mean(after)
		drop, limit := dropOf(before, after, q.Confidence)
		a.Drop, a.Limit = max(a.Drop, drop), max(a.Limit, limit)
	}
	a.Held = a.Limit <= q.Tolerance
	q.sizes(attempted.model, &a)
	q.attempts = append(q.attempts, a)
	q.task.Log("%s", a)
	if a.Held {
		q.model, q.after = attempted.model, here
		q.task.Log("%s", a.Size())
	}
	return a.Held, nil
}

func (q *work) method() string {
	text := string(q.Ranges)
	if q.Ranges == simulate.Percentile {
		text = fmt.Sprintf("%s %g", text, q.Percentile)
	}
	if q.Equalise {
		text += ", equalised"
	}
	if q.Rounding == Learned {
		text += ", rounding learned"
	}
	if q.training != nil {
		text += ", trained with rounding"
	}
	if q.BiasCorrection {
		text += ", biases corrected"
	}
	return text
}

// sizes adds to an attempt the bytes of the model's tensors, and the share of the multiply-adds in layers that compute with bytes.
func (q *work) sizes(model *classifier.Classifier, a *record.GateAttempt) {
	scheme := model.Scheme()
	var all, low int64
	for _, l := range model.Network.Layers() {
		n := model.Network.LayerMultiplyAdds(l)
		all += n
		able := quantise.HasWeight(l.Op)
		weight := able && scheme.Computes(l)
		if weight {
			low += n
		}
		for _, p := range model.Network.LayerParameters(l) {
			size := int64(p.Shape.Size())
			a.Float32 += 4 * size
			switch {
			case weight && p.Role == nn.Weight:
				steps := 4 * int64(p.Shape[0])
				a.Bytes += size + steps
				a.Others += steps
			case able && p.Role == nn.Weight:
				a.Bytes += 4 * size
				a.Left += 4 * size
			default:
				a.Bytes += 4 * size
				a.Others += 4 * size
			}
		}
	}
	a.Share = float64(low) / float64(max(all, 1))
}

// scores are those of the validation rows: 1 for a right class. For models that tell no single class it is how much of their
// answers is that of the model in float32.
func (q *work) scores(answers []float32) []float64 {
	n := q.data.Validation.Rows()
	width := len(answers) / max(n, 1)
	out := make([]float64, n)
	deviation := q.deviation(width)
	for i := range out {
		row, was := answers[i*width:(i+1)*width], q.before[i*width:(i+1)*width]
		switch q.model.Head().Task {
		case record.SingleLabel:
			if greatest(row) == q.data.Validation.Classes[i] {
				out[i] = 1
			}
		case record.MultiLabel:
			for c, p := range row {
				if (p >= 0.5) == (was[c] >= 0.5) {
					out[i] += 1 / float64(width)
				}
			}
		default:
			out[i] = 1
			for c, v := range row {
				out[i] -= math.Abs(float64(v)-float64(was[c])) / deviation[c] / float64(width)
			}
		}
	}
	return out
}

// deviation is that of the model's numbers in float32, of each.
func (q *work) deviation(width int) []float64 {
	out := make([]float64, width)
	n := float64(len(q.before) / max(width, 1))
	for c := range out {
		var sum, squares float64
		for i := c; i < len(q.before); i += width {
			v := float64(q.before[i])
			sum += v / n
			squares += v * v / n
		}
		out[c] = math.Sqrt(max(squares-sum*sum, 1e-12))
	}
	return out
}

func greatest(x []float32) int {
	at := 0
	for i, v := range x {
		if v > x[at] {
			at = i
		}
	}
	return at
}

func mean(x []float64) float64 {
	var sum float64
	for _, v := range x {
		sum += v
	}
	return sum / float64(max(len(x), 1))
}

// dropOf is the mean of the differences of paired scores, and the upper end of its one-sided interval, by the normal
// approximation: with no difference it is 0.
func dropOf(before, after []float64, confidence float64) (drop, limit float64) {
	n := float64(len(before))
	var sum, squares float64
	for i := range before {
		d := before[i] - after[i]
		sum += d
		squares += d * d
	}
	drop = sum / n
	variance := max(squares/n-drop*drop, 0)
	quantile := math.Sqrt2 * math.Erfinv(2*confidence-1)
	return drop, drop + quantile*math.Sqrt(variance/n)
}

// failure says what was reached: the attempt with the least drop. The log has told of all.
func (q *work) failure(most int) error {
	best := slices.MinFunc(q.attempts, func(a, b record.GateAttempt) int { return cmp.Compare(a.Limit, b.Limit) })
	return fmt.Errorf("the gate does not hold with up to %s in float32 (most_float %g): the drop in accuracy is at most %.4f at best, and %.4f is allowed. A greater tolerance, "+
		"more rows of split val, bias_correction or other ranges may help", layers(int64(most)), q.MostFloat, best.Limit, best.Tolerance)
}

// layers counts them for people.
func layers(n int64) string {
	if n == 1 {
		return "1 layer"
	}
	return fmt.Sprintf("%d layers", n)
}

// layerRows tells of each layer with a weight.
func (q *work) layerRows() []record.QuantisedLayer {
	var out []record.QuantisedLayer
	scheme := q.model.Scheme()
	bounded := quantise.Bounded(q.model.Network)
	for _, l := range q.weighted() {
		weights := 0
		for _, p := range q.model.Network.LayerParameters(l) {
			if p.Role == nn.Weight {
				weights = p.Shape.Size()
			}
		}
		row := record.QuantisedLayer{Layer: l.Name, Kind: l.Op.Kind(), Type: string(q.Type), Weights: int64(weights), Sensitivity: math.NaN()}
		if v, ok := q.sensitivity[l.Name]; ok {
			row.Sensitivity = v
		}
		if scheme != nil {
			r := scheme.Ranges[cmp.Or(bounded[l.Name], l.Name)]
			row.Low, row.High = float64(r.Low), float64(r.High)
			if !scheme.Computes(l) {
				row.Type, row.Why = "float32", fmt.Sprintf("the gate: among the most sensitive, of which %s had to be left", layers(q.attempts[len(q.attempts)-1].Layers))
			}
		}
		out = append(out, row)
	}
	return out
}
