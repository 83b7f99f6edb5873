package transfer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/prefix"
	"github.com/tlpipe/tlpipe/pipeline"
)

// forgetting measures the backbone's own classifier on pictures of its source task, with the features
// that the training started with and with those that it ended with.
func (t *training) forgetting(ctx context.Context) (_ []record.Diagnostic, err error) {
	in := t.task.Input(SourcePort)
	if in == nil {
		return nil, nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("source %s: %w", in.Name(), err)
		}
	}()
	judge, err := t.newJudge()
	if err != nil {
		return nil, err
	}
	defer judge.pool.Close()
	for _, chunk := range in.Chunks() { // one by one: all of them may be more than can be open
		if err := judge.takeAll(ctx, chunk); err != nil {
			return nil, err
		}
	}
	return judge.diagnostics()
}

func (j *judge) takeAll(ctx context.Context, in pipeline.Input) (err error) {
	table, err := in.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, table.Close()) }()
	for _, rec := range table.Records() {
		if err := j.take(ctx, rec); err != nil {
			return err
		}
	}
	return nil
}

// judge answers pictures with the backbone's classifier.
type judge struct {
	classes []string
	pool    *kernel.Pool
	trunks  [2]*frozen.Session // before the training, and after
	top     *frozen.Session
	input   int // numbers of a picture
	width   int // of the features
	atOnce  int

	rows, right0, right1 int // rows answered; right before, and after
	lost, gained         int // right only before, only after
}

func (t *training) newJudge() (*judge, error) {
	b := t.backbone
	whole, err := b.weights.Network(t.data.Shape[0], t.data.Shape[1])
	if err != nil {
		return nil, err
	}
	weights, err := b.weights.Load(whole, t.RandomSeed)
	if err != nil {
		return nil, err
	}
	above, err := whole.Above(b.Pooled)
	if err != nil {
		return nil, err
	}
	top, err := frozen.Compile(above, weights.Select(above))
	if err != nil {
		return nil, err
	}
	trunk, err := t.net.Cut(t.trunk)
	if err != nil {
		return nil, err
	}
	j := &judge{classes: b.weights.Classes(), pool: kernel.NewPool(max(t.task.Threads, 1))}
	for i, weights := range []nn.Weights{t.started, t.weights} {
		program, err := frozen.Compile(trunk, weights.Select(trunk))
		if err != nil {
			j.pool.Close()
			return nil, err
		}
		j.input, j.width, j.atOnce = program.InputShape().Size(), program.OutputShape(0).Size(), prefix.RowsAtOnce(program)
		j.trunks[i] = program.NewSession(j.atOnce)
	}
	j.top = top.NewSession(j.atOnce)
	return j, nil
}

// take answers the pictures of a record that have a label of the classifier's.
func (j *judge) take(ctx context.Context, rec arrow.Record) error {
	pictures, err := picture.NewColumn(rec)
	if err != nil {
		return err
	}
	if pictures.Size() != j.input {
		return fmt.Errorf("images have %d×%d pixels: preprocess them like those of the data", pictures.Width, pictures.Height)
	}
	labels, err := record.ColumnAs[*array.String](rec, record.Label)
	if err != nil {
		return err
	}
	var rows, truth []int
	for i := range pictures.Rows {
		if class := slices.Index(j.classes, labels.Value(i)); class >= 0 && !labels.IsNull(i) && !pictures.IsNull(i) {
			rows, truth = append(rows, i), append(truth, class)
		}
	}
	for len(rows) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(j.atOnce, len(rows))
		inputs := make([]float32, n*j.input)
		for i, row := range rows[:n] {
			pictures.Read(inputs[i*j.input:(i+1)*j.input], row)
		}
		if err := j.answer(inputs, truth[:n]); err != nil {
			return err
		}
		rows, truth = rows[n:], truth[n:]
	}
	return nil
}

func (j *judge) answer(inputs []float32, truth []int) error {
	var right [2][]bool
	for i, trunk := range j.trunks {
		features, logits := make([]float32, len(truth)*j.width), make([]float32, len(truth)*len(j.classes))
		if err := trunk.Run(j.pool, inputs, len(truth), features); err != nil {
			return err
		}
		if err := j.top.Run(j.pool, features, len(truth), logits); err != nil {
			return err
		}
		for row, class := range truth {
			right[i] = append(right[i], metrics.MostProbable(logits[row*len(j.classes):(row+1)*len(j.classes)]) == class)
		}
	}
	lost, gained := metrics.Discordant(right[0], right[1])
	j.lost, j.gained, j.rows = j.lost+lost, j.gained+gained, j.rows+len(truth)
	for row := range truth {
		if right[0][row] {
			j.right0++
		}
		if right[1][row] {
			j.right1++
		}
	}
	return nil
}

// diagnostics tells the accuracies and what was forgotten, with the interval of a difference of paired shares
// (Wald's, from the rows that one has right and the other wrong).
func (j *judge) diagnostics() ([]record.Diagnostic, error) {
	if j.rows == 0 {
		return nil, errors.New("no row has a label among the classes of the backbone's classifier: labels must be the names of its classes")
	}
	n := float64(j.rows)
	before, after := float64(j.right0)/n, float64(j.right1)/n
	diagnostic := func(name string, value float64, in metrics.Interval, text string) record.Diagnostic {
		return record.Diagnostic{Name: name, Value: value, Low: in.Low, High: in.High, Rows: int64(j.rows), Text: text}
	}
	lost, gained := float64(j.lost), float64(j.gained)
	forgotten := (lost - gained) / n
	half := 1.959964 * math.Sqrt(lost+gained-(lost-gained)*(lost-gained)/n) / n
	out := []record.Diagnostic{
		diagnostic(record.SourceAccuracyBefore, before, metrics.Wilson(float64(j.right0), n), fmt.Sprintf("on its source task the backbone was %.1f %% accurate", 100*before)),
		diagnostic(record.SourceAccuracyAfter, after, metrics.Wilson(float64(j.right1), n), fmt.Sprintf("on its source task the backbone is %.1f %% accurate", 100*after)),
		diagnostic(record.Forgetting, forgotten, metrics.Interval{Low: forgotten - half, High: forgotten + half},
			fmt.Sprintf("on its source task the backbone fell from %.1f %% to %.1f %%", 100*before, 100*after)),
	}
	out[2].Alarm = out[2].Low > 0
	return out, nil
}
