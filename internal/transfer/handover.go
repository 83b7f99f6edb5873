package transfer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Names of the results of a phase.
const (
	keptOutput    = "kept"    // the tensors that training changed, in this phase and before, as it hands them on
	lastOutput    = "last"    // the same at the end of the phase
	historyOutput = "history" // its epochs
)

// writePhase writes the results of a phase.
func (t *training) writePhase(task *pipeline.Task, i int, net *nn.Network, trainer *train.Trainer) error {
	last, kept := trainer.Last(), len(trainer.History())
	chosen := last
	if turn := t.turn(i); t.Restore == strategy.RestoreBest && (turn == nil || !turn.Last) {
		chosen, kept = trainer.Best()
	}
	for _, weights := range []nn.Weights{last, chosen} {
		if err := t.checkFrozen(i, net, weights); err != nil {
			return err
		}
	}
	for _, output := range []struct {
		name    string
		weights nn.Weights
	}{{keptOutput, chosen}, {lastOutput, last}} {
		model := record.Model{}
		for _, p := range t.net.Parameters() {
			if learns := t.selections[i].Learns(p.Layer) && !t.selections[i].Keeps(p); !learns && !t.touched[p.Name()] {
				continue
			}
			tensor, ok := output.weights[p.Name()]
			if !ok {
				tensor = t.weights[p.Name()] // below the prefix
			}
			model.Tensors = append(model.Tensors, record.Tensor{Name: p.Name(), Shape: tensor.Shape, Data: tensor.Data})
		}
		rec, err := model.Record()
		if err != nil {
			return err
		}
		if err := task.WriteRecord(output.name, rec); err != nil {
			return err
		}
	}
	var rows []record.TrainingEpoch
	turn := t.turn(i)
	for _, e := range trainer.History() {
		row := record.TrainingEpoch{
			Epoch: int32(e.Number), Loss: e.Loss, ValidationLoss: e.ValidationLoss, Accuracy: accuracyOf(e.Measures),
			ValidationAccuracy: accuracyOf(e.ValidationMeasures), LearningRate: e.Rate, Kept: e.Number == kept,
		}
		if turn != nil && turn.Unlabelled {
			row.Accuracy = math.NaN()
		}
		rows = append(rows, row)
	}
	return task.WriteRecord(historyOutput, record.FromRows(rows))
}

// checkFrozen returns an error if the phase changed a layer that it should not have. That would be a
// fault of the program.
func (t *training) checkFrozen(i int, net *nn.Network, weights nn.Weights) error {
	for _, p := range net.Parameters() {
		if learns := t.selections[i].Learns(p.Layer) && !t.selections[i].Keeps(p); !learns && !slices.EqualFunc(weights[p.Name()].Data, t.weights[p.Name()].Data, sameBits) {
			return fmt.Errorf("internal error, please report it: the frozen tensor %s was changed", p.Name())
		}
	}
	return nil
}

func sameBits(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }

// take takes over what a phase gave.
func (t *training) take(ctx context.Context, i int, result map[string]pipeline.Input) error {
	kept, err := readTensors(ctx, result[keptOutput])
	if err != nil {
		return err
	}
	last, err := readTensors(ctx, result[lastOutput])
	if err != nil {
		return err
	}
	epochs, err := record.ReadRows[record.TrainingEpoch](result[historyOutput].Batches(ctx))
	if err != nil {
		return err
	}
	if len(epochs) == 0 {
		return errors.New("the phase has no epoch")
	}
	before, after := t.weights, nn.Weights{}
	t.last = nn.Weights{}
	for name, tensor := range before {
		after[name], t.last[name] = tensor, tensor
	}
	for name, tensor := range kept {
		after[name], t.touched[name] = tensor, true
	}
	for name, tensor := range last {
		t.last[name] = tensor
	}
	if err := errors.Join(t.net.Check(after), t.net.Check(t.last)); err != nil {
		return err
	}
	t.weights = after
	keptEpoch := 1 + slices.IndexFunc(epochs, func(e record.TrainingEpoch) bool { return e.Kept })
	t.layers = append(t.layers, t.describe(i, before, len(epochs), keptEpoch)...)
	t.summarise(i, epochs, keptEpoch)
	first := int32(len(t.history))
	if err := t.takeMeasures(ctx, i, result, first); err != nil {
		return err
	}
	for _, e := range epochs {
		e.Phase = t.phases[i].Name
		e.Epoch += first
		t.history = append(t.history, e)
	}
	t.epochs += t.phases[i].Epochs
	t.task.Progress(int64(t.epochs), int64(t.allEpochs()), "epoch")
	return nil
}

// readTensors reads the tensors that a phase wrote.
func readTensors(ctx context.Context, in pipeline.Input) (nn.Weights, error) {
	out := nn.Weights{}
	for rec, err := range in.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		model, err := record.ParseModel(rec)
		if err != nil {
			return nil, err
		}
		for _, tensor := range model.Tensors {
			out[tensor.Name] = nn.Tensor{Shape: tensor.Shape, Data: tensor.Data}
		}
	}
	return out, nil
}
