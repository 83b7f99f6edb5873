package distill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/adapter"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/prune"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// PruneParams are the parameters of the stage prune.
type PruneParams struct {
	Method    string    `yaml:"method" enum:"channels,weights,2:4" doc:"channels: whole channels are removed, with everything coupled to them, and the network becomes smaller and faster; weights: single weights are set to 0; 2:4: two of every four weights of a filter are set to 0. With weights and 2:4 the layers keep their shapes and speed in tlpipe"`
	Ratio     float64   `yaml:"ratio" min:"0.01" max:"0.95" doc:"of channels: the share of each layer's channels to remove, which removes about 1 - (1 - ratio)² of the parameters; of weights: the share to set to 0. Default: 0.5, which is also the share of 2:4"`
	Criterion string    `yaml:"criterion" enum:"l1,batch_norm,taylor" doc:"of channels, which are removed first: l1, those with the smallest weights; batch_norm, those with the smallest batch-norm scale; taylor, those whose removal changes the loss least to first order, by the gradients of training rows"`
	Scope     string    `yaml:"scope" enum:"layer,global" doc:"layer: the ratio applies to each layer; global: to all layers together, where a layer loses 90 % at most"`
	Multiple  int       `yaml:"multiple" min:"1" max:"64" doc:"of channels: layers keep a multiple of this number"`
	Rounds    int       `yaml:"rounds" min:"1" max:"20" doc:"number of rounds in which the ratio is reached, with training after each"`
	Keep      []string  `yaml:"keep" doc:"layers or blocks that are not pruned, with everything coupled to them; the last layer never is"`
	Rows      int       `yaml:"rows" min:"16" doc:"of taylor: maximum number of training rows for the gradients"`
	Target    string    `yaml:"target" doc:"column with the class of the rows"`
	Train     *Training `yaml:"train" doc:"training after each round, as in finetune with an input model; none if not given; {} trains all layers for two epochs"`
}

// Training is how a pruned network is trained.
type Training struct{ transfer.Params }

// DecodeParam implements params.Decoder: all layers learn, with the statistics of their batches, unless a strategy says
// otherwise.
func (t *Training) DecodeParam(d *params.Decoding, node *yaml.Node) {
	t.Further(d, node, strategy.Recovery())
}

// Methods and criteria.
const (
	byChannels  = "channels"
	byWeights   = "weights"
	byTwoOfFour = "2:4"
	taylor      = "taylor"
	byBatchNorm = "batch_norm"
	globally    = "global"

	defaultPruneRows = 256
)

// PruneKind declares the stage prune.
func PruneKind() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "prune",
		Summary: "remove channels or weights from a trained network",
		Doc: "With method channels, whole channels are removed, with everything coupled to them by an addition, a depthwise convolution, a batch-norm, a " +
			"concatenation or a gate. The result is a smaller network that can be used like any other. Before any training, its outputs are those of the " +
			"original network with these channels zeroed. With weights and 2:4, single weights become 0 and remain 0 in the training of this stage. The last layer " +
			"is never pruned. With data, accuracy is measured on the validation rows before and after, and train trains the network after each round. A pruning " +
			"that removes nothing is an error.",
		Example: `smaller:
  uses: prune
  from: {model: net, data: images}
  with: {ratio: 0.5, rounds: 2, train: {epochs: 2}}`,
		Version: 3,
		Seeded:  true,
		Inputs: []pipeline.Port{
			{Name: transfer.ModelPort, Kind: pipeline.Model, Doc: "the trained network"},
			{Name: transfer.DataPort, Kind: pipeline.Images, Optional: true, Doc: "rows with images, classes and splits, prepared for the network: for training, taylor and accuracies"},
		},
		Outputs: []pipeline.Port{
			{Name: transfer.ModelPort, Kind: pipeline.Model, Doc: "the pruned network"},
			{Name: "sizes", Kind: pipeline.Metrics, Doc: "the network before and after: parameters, multiply-adds, bytes; with data, accuracy on the validation rows and agreement with the network before"},
			{Name: "channels", Kind: pipeline.Metrics, Doc: "one row per set of coupled layers: channels before and after"},
		},
	}, PruneParams{Method: byChannels, Ratio: 0.5, Criterion: "l1", Scope: "layer", Multiple: 8, Rounds: 1, Rows: defaultPruneRows, Target: record.Label}, buildPrune)
}

// pruneStage is the kind with its parameters filled in.
type pruneStage struct {
	PruneParams
	training *transfer.Setup // nil: none
}

func buildPrune(p PruneParams) (pipeline.Stage, error) {
	s := &pruneStage{PruneParams: p}
	var errs []error
	refuse := func(wrong bool, path, hint, format string, args ...any) {
		if wrong {
			errs = append(errs, pipeline.ParamErrorHint(path, hint, format, args...))
		}
	}
	refuse(p.Method != byChannels && p.Criterion != "l1", "criterion", "leave it out", "is of method channels: weights go by their magnitude")
	refuse(p.Method != byChannels && p.Multiple != 8, "multiple", "leave it out", "is of method channels")
	refuse(p.Criterion != taylor && p.Rows != defaultPruneRows, "rows", "leave it out, or take criterion: taylor", "is of criterion taylor: no other looks at rows")
	refuse(p.Method == byTwoOfFour && p.Ratio != 0.5, "ratio", "leave it out", "2:4 sets half of the weights to 0")
	refuse(p.Method == byTwoOfFour && p.Rounds > 1, "rounds", "leave it out", "2:4 is reached in one round")
	refuse(p.Method == byTwoOfFour && p.Scope == globally, "scope", "leave it out", "2:4 is a pattern of each layer")
	refuse(p.Rounds > 1 && p.Train == nil, "rounds", "say how to train: train: {}", "several rounds without training between them are one")
	if p.Train != nil {
		refuse(p.Train.Target != record.Label && string(p.Train.Target) != p.Target, "train.target", "say it as target of the stage", "the rows' class is that of the stage: target %q", p.Target)
		own := p.Train.Params
		own.Target = transfer.TargetColumn(p.Target)
		var err error
		if s.training, err = transfer.NewWithin("prune", "train", own); err != nil {
			errs = append(errs, err)
		} else if p.Method != byChannels {
			s.training = s.training.KeepingZeros()
		}
	}
	return s, errors.Join(errs...)
}

// Numerics implements pipeline.Numeric.
func (s *pruneStage) Numerics() string {
	if s.training != nil {
		return s.training.Numerics()
	}
	return frozen.Float32.Numerics()
}

// Check implements pipeline.Stage.
func (s *pruneStage) Check(inputs map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	if err := cmp.Or(classifier.CheckOne("prune", inputs[transfer.ModelPort]), classifier.CheckFloat32("prune", inputs[transfer.ModelPort])); err != nil {
		return nil, err
	}
	for _, traits := range inputs[transfer.ModelPort] {
		if _, features := traits[record.ExtractionKey]; features {
			return nil, errors.New("the model is a head on features: it has no channels to remove; prune a whole network on pictures")
		}
		if err := s.checkNetwork(classifier.NetworkOf(traits)); err != nil {
			return nil, err
		}
	}
	if len(inputs[transfer.DataPort]) == 0 {
		switch {
		case s.Train != nil:
			return nil, pipeline.ParamErrorHint("train", "from: {model: …, data: images}", "needs the input data")
		case s.Criterion == taylor:
			return nil, pipeline.ParamErrorHint("criterion", "from: {model: …, data: images}", "taylor needs the input data")
		}
	}
	for _, of := range []string{transfer.ModelPort, transfer.DataPort} {
		if len(inputs[transfer.DataPort]) == 0 || of == transfer.DataPort && s.Target != record.Label {
			continue
		}
		if err := classifier.CheckSingleLabel("prune with the input data", of, inputs[of]); err != nil {
			return nil, err
		}
	}
	model := pipeline.Traits{}
	if s.training != nil {
		out, err := s.training.Check(map[string][]pipeline.Traits{transfer.ModelPort: inputs[transfer.ModelPort], transfer.DataPort: inputs[transfer.DataPort]})
		if err != nil {
			return nil, err
		}
		model = out[transfer.ModelPort]
	} else if len(inputs[transfer.ModelPort]) > 0 {
		model = inputs[transfer.ModelPort][0]
	}
	model = maps.Clone(model)
	if s.Method == byChannels {
		delete(model, record.NetworkKey) // how many channels stay is not known yet
	}
	return map[string]pipeline.Traits{transfer.ModelPort: model}, nil
}

// checkNetwork refuses what can be known to fail of the network that will be pruned; nil: nothing is known.
func (s *pruneStage) checkNetwork(net *nn.Network) error {
	if net == nil {
		return nil
	}
	var errs []error
	for i, name := range s.Keep {
		if _, ok := net.Find(name); !ok {
			errs = append(errs, noLayer(fmt.Sprintf("keep[%d]", i), name, net))
		}
	}
	scaled := slices.ContainsFunc(net.Layers(), func(l nn.Layer) bool { op, ok := l.Op.(nn.BatchNorm); return ok && !op.Unscaled })
	if s.Criterion == byBatchNorm && !scaled {
		errs = append(errs, pipeline.ParamErrorHint("criterion", "use l1", "the network has no batch-norm with a scale"))
	}
	return errors.Join(errs...)
}

// noLayer says that a parameter names a layer which is not there.
func noLayer(path, name string, net *nn.Network) error {
	return pipeline.ParamErrorHint(path, params.DidYouMean(name, net.Scopes()), "the network has no layer or block %q", name)
}

// Foresee implements pipeline.Foreseeing.
func (s *pruneStage) Foresee(inputs map[string]pipeline.Foreseen) error {
	data, ok := inputs[transfer.DataPort]
	if !ok || data.Overview == nil {
		return nil
	}
	return transfer.ForeseeTarget(data.Overview, s.Target)
}

// Demands implements pipeline.Demanding.
func (s *pruneStage) Demands() (all []pipeline.Demand) {
	if s.training != nil {
		all = s.training.Demands()
	}
	if s.Criterion == taylor {
		all = append(all, pipeline.Demand{Port: transfer.DataPort, Split: record.Train, Why: "taylor takes gradients on them"})
	}
	return all
}

// roundRecipe is all that decides what a round takes out, but the network, the data and what there was before the first round.
type roundRecipe struct {
	Method    string   `yaml:"method"`
	Share     float64  `yaml:"share"` // of what there was at first that is gone after the round
	Criterion string   `yaml:"criterion"`
	Scope     string   `yaml:"scope"`
	Multiple  int      `yaml:"multiple"`
	Keep      []string `yaml:"keep"`
	Rows      int      `yaml:"rows"`
	Target    string   `yaml:"target"`
}

// Run implements pipeline.WholeTable.
func (s *pruneStage) Run(ctx context.Context, task *pipeline.Task) error {
	given := task.Input(transfer.ModelPort)
	first, err := classifier.Read(ctx, given)
	if err != nil {
		return err
	}
	if len(first.InputShape()) != 3 {
		return fmt.Errorf("model %s takes features: it has no channels to remove; prune a whole network on pictures", given.Name())
	}
	if first.Network, first.Weights, err = adapter.Merge(first.Network, first.Weights); err != nil {
		return err
	}
	current := given
	var pruned *classifier.Classifier
	for round := range s.Rounds {
		if current, err = s.round(ctx, task, given, current, round); err != nil {
			return fmt.Errorf("round %d: %w", round+1, err)
		}
		if pruned, err = classifier.Read(ctx, current); err != nil {
			return err
		}
		if s.training == nil {
			continue
		}
		own := *task
		own.Inputs = map[string][]pipeline.Input{transfer.ModelPort: {current}, transfer.DataPort: task.Inputs[transfer.DataPort]}
		outcome, err := s.training.Train(ctx, &own)
		if err != nil {
			return fmt.Errorf("round %d: training: %w", round+1, err)
		}
		pruned = outcome.Model
		if round < s.Rounds-1 {
			if current, err = s.trained(ctx, task, current, pruned, round); err != nil {
				return err
			}
		}
	}
	pruned.Description.Recipe = task.Recipe
	if s.training == nil {
		pruned.Description.Reference = nil // it answers otherwise now
	}
	sizes, err := s.sizes(ctx, task, first, pruned)
	if err != nil {
		return err
	}
	s.tell(ctx, task, first, pruned, sizes)
	return errors.Join(
		writeModel(task, transfer.ModelPort, pruned),
		task.WriteRecord("sizes", record.FromRows(sizes)),
		task.WriteRecord("channels", record.FromRows(spacesLeft(first.Network, pruned.Network))),
	)
}

// share is what is gone after a round, so that each round takes the same share of what it finds.
func (s *pruneStage) share(round int) float64 {
	if round == s.Rounds-1 {
		return s.Ratio
	}
	return 1 - math.Pow(1-s.Ratio, float64(round+1)/float64(s.Rounds))
}

// round takes out what one round does: a part of the stage's work.
func (s *pruneStage) round(ctx context.Context, task *pipeline.Task, given, current pipeline.Input, round int) (pipeline.Input, error) {
	part := pipeline.Part{
		Name: "prune", Numerics: s.Numerics(), Inputs: map[string]pipeline.Input{"given": given, transfer.ModelPort: current},
		Recipe: roundRecipe{s.Method, s.share(round), s.Criterion, s.Scope, s.Multiple, s.Keep, s.Rows, s.Target},
	}
	if s.Criterion == taylor {
		part.Inputs[transfer.DataPort] = task.Input(transfer.DataPort)
	}
	result, err := task.Part(ctx, part, func(ctx context.Context, task *pipeline.Task) error {
		before, err := classifier.Read(ctx, given)
		if err != nil {
			return err
		}
		c, err := classifier.Read(ctx, current)
		if err != nil {
			return err
		}
		if c.Network, c.Weights, err = adapter.Merge(c.Network, c.Weights); err != nil {
			return err
		}
		if err := s.cut(ctx, task, before.Network, c, round); err != nil {
			return err
		}
		return writeModel(task, transfer.ModelPort, c)
	})
	if err != nil {
		return nil, err
	}
	return result[transfer.ModelPort], nil
}

// trainedRecipe is that of the part that hands a trained network to the next round: its training stands in its inputs' phases.
type trainedRecipe struct {
	Train transfer.Params `yaml:"train"`
	Seed  uint64          `yaml:"seed"`
}

// trained makes what a round trained an input of the next one.
func (s *pruneStage) trained(ctx context.Context, task *pipeline.Task, current pipeline.Input, model *classifier.Classifier, round int) (pipeline.Input, error) {
	part := pipeline.Part{
		Name: "trained", Numerics: s.Numerics(), Recipe: trainedRecipe{s.Train.Params, task.Seed},
		Inputs: map[string]pipeline.Input{transfer.ModelPort: current, transfer.DataPort: task.Input(transfer.DataPort)},
	}
	result, err := task.Part(ctx, part, func(_ context.Context, task *pipeline.Task) error {
		return writeModel(task, transfer.ModelPort, model)
	})
	if err != nil {
		return nil, err
	}
	return result[transfer.ModelPort], nil
}

// cut takes out of a model what a round does. before is the network that the stage was given.
func (s *pruneStage) cut(ctx context.Context, task *pipeline.Task, before *nn.Network, c *classifier.Classifier, round int) error {
	for i, name := range s.Keep {
		if _, ok := c.Network.Find(name); !ok {
			return noLayer(fmt.Sprintf("keep[%d]", i), name, c.Network)
		}
	}
	keep := func(layer string) bool {
		return slices.ContainsFunc(s.Keep, func(name string) bool { return nn.InScope(layer, name) })
	}
	coupling := prune.Couple(c.Network)
	var err error
	switch s.Method {
	case byWeights:
		c.Weights, _, err = coupling.Sparsify(c.Weights, s.share(round), s.Scope == globally, keep)
		return err
	case byTwoOfFour:
		c.Weights, _, err = coupling.TwoOfFour(c.Weights, keep)
		return err
	}
	scores := prune.L1(c.Network, c.Weights)
	switch s.Criterion {
	case byBatchNorm:
		if scores, err = prune.BatchNormScale(c.Network, c.Weights); err != nil {
			return pipeline.ParamErrorHint("criterion", "use l1", "%v", err)
		}
	case taylor:
		if scores, err = transfer.Importance(ctx, task, s.Target, c, s.Rows); err != nil {
			return err
		}
	}
	gone, err := coupling.Choose(scores, prune.Choice{
		Ratio: s.share(round), Global: s.Scope == globally, Multiple: s.Multiple, Keep: keep,
		Before: func(space prune.Space) int { return before.Shape(space.Layers[0]).Channels() },
	})
	if err != nil {
		return err
	}
	c.Network, c.Weights, err = coupling.Remove(gone, c.Weights)
	return err
}

// sizes measures the network before and after.
func (s *pruneStage) sizes(ctx context.Context, task *pipeline.Task, before, after *classifier.Classifier) ([]record.ModelSize, error) {
	both := []transfer.Student{{Role: record.RoleUnpruned, Name: task.Input(transfer.ModelPort).Name(), Model: before}, {Role: record.RolePruned, Name: record.RolePruned, Model: after}}
	if task.Input(transfer.DataPort) != nil {
		return transfer.Sizes(ctx, task, s.Target, both...)
	}
	var out []record.ModelSize
	for _, n := range both {
		all, _ := n.Model.Network.ParameterCount()
		nan := math.NaN()
		out = append(out, record.ModelSize{
			Model: n.Name, Role: n.Role, Parameters: all, MultiplyAdds: n.Model.Network.MultiplyAdds(), Bytes: 4 * all,
			Nonzero:  prune.Nonzero(n.Model.Network, n.Model.Weights),
			Accuracy: nan, Low: nan, High: nan, Agreement: nan, AgreementLow: nan, AgreementHigh: nan,
		})
	}
	return out, nil
}

// tell tells people what has become of the network, and how fast it is here. Speed is no part of the results: it is another on every
// machine, and in every run.
func (s *pruneStage) tell(ctx context.Context, task *pipeline.Task, before, after *classifier.Classifier, sizes []record.ModelSize) {
	was, is := sizes[0], sizes[1]
	task.Log("parameters %d → %d (%.0f %%), not 0 %d → %d, multiply-adds of a picture %.4g → %.4g million (%.0f %%), %.3g → %.3g MB",
		was.Parameters, is.Parameters, percent(is.Parameters, was.Parameters), was.Nonzero, is.Nonzero,
		float64(was.MultiplyAdds)/1e6, float64(is.MultiplyAdds)/1e6, percent(is.MultiplyAdds, was.MultiplyAdds), float64(was.Bytes)/1e6, float64(is.Bytes)/1e6)
	if is.Rows > 0 {
		task.Log("on %d validation rows accuracy %.1f %% → %.1f %% (%.1f to %.1f), %.1f %% of the predictions unchanged", is.Rows, 100*was.Accuracy, 100*is.Accuracy, 100*is.Low, 100*is.High, 100*is.Agreement)
	}
	if old, new, err := speeds(ctx, task.Threads, before, after); err == nil {
		task.Log("speed: %.2f → %.2f ms per picture, %.2f times as fast (batch 1, %s, measured alternately)", 1e3*old.Seconds(), 1e3*new.Seconds(), old.Seconds()/new.Seconds(), threads(max(task.Threads, 1)))
	}
}

func threads(n int) string {
	if n == 1 {
		return "1 thread"
	}
	return fmt.Sprintf("%d threads", n)
}

func percent(part, of int64) float64 { return 100 * float64(part) / float64(max(of, 1)) }

// speeds measures two networks in turn: the least times of a picture, of some runs each.
func speeds(ctx context.Context, threads int, networks ...*classifier.Classifier) (old, new time.Duration, err error) {
	const within, most = time.Second, 30
	pool := kernel.NewPool(max(threads, 1))
	defer pool.Close()
	least := make([]time.Duration, len(networks))
	sessions := make([]func() error, len(networks))
	for i, c := range networks {
		program, err := c.Compile()
		if err != nil {
			return 0, 0, err
		}
		session := program.NewSession(1)
		input, output := make([]float32, program.InputShape().Size()), make([]float32, program.OutputShape(0).Size())
		sessions[i] = func() error { return session.Run(pool, input, 1, output) }
		if err := sessions[i](); err != nil {
			return 0, 0, err
		}
		least[i] = time.Hour
	}
	for began, n := time.Now(), 0; n < most && time.Since(began) < within && ctx.Err() == nil; n++ {
		for i, run := range sessions {
			at := time.Now()
			if err := run(); err != nil {
				return 0, 0, err
			}
			least[i] = min(least[i], time.Since(at))
		}
	}
	return least[0], least[1], ctx.Err()
}

// spacesLeft compares the channels of two networks with the same layers.
func spacesLeft(before, after *nn.Network) (out []record.PrunedSpace) {
	for _, s := range prune.Couple(before).Spaces() {
		name := s.Layers[0]
		if n := len(s.Layers); n > 1 {
			name += fmt.Sprintf(" and %d more", n-1)
		}
		left := after.Shape(s.Layers[0])
		if left == nil {
			continue
		}
		out = append(out, record.PrunedSpace{Layers: name, Before: int32(before.Shape(s.Layers[0]).Channels()), Channels: int32(left.Channels())})
	}
	return out
}
