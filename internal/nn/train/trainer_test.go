package train

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sourcegraph/conc/iter"
	"github.com/tlpipe/tlpipe/internal/budget/budgettest"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

// blobs are examples of classes that lie around centres apart from each other.
func blobs(n, width, classes int, spread float64, seed uint64) *Table {
	centres := rand.New(rand.NewPCG(7, 7))
	centre := make([]float64, classes*width)
	for i := range centre {
		centre[i] = centres.NormFloat64()
	}
	random := rand.New(rand.NewPCG(seed, 1))
	t := &Table{Width: width}
	for i := range n {
		class := i % classes
		for j := range width {
			t.Values = append(t.Values, float32(centre[class*width+j]+spread*random.NormFloat64()))
		}
		t.Classes = append(t.Classes, class)
	}
	return t
}

// tutorialHead is the head of the tutorial.
func tutorialHead(t testing.TB, width, classes int) *nn.Network {
	t.Helper()
	b := nn.NewBuilder()
	x := b.Input("features", width)
	for i, out := range []int{256, 128} {
		s := b.Scope(fmt.Sprint("hidden", i+1))
		x = s.Layer("dense", nn.Dense{Out: out}, x)
		x = s.Layer("norm", nn.BatchNorm{Epsilon: 1e-3, Momentum: 0.9}, x)
		x = s.Layer("relu", nn.Activation{Function: kernel.ReLU}, x)
		x = s.Layer("dropout", nn.Dropout{Rate: []float32{0.5, 0.3}[i]}, x)
	}
	x = b.Layer("logits", nn.Dense{Out: classes, Bias: true}, x)
	b.Layer("probabilities", nn.Softmax{}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	return net
}

func adamOptions() Options {
	return Options{Epochs: 12, BatchSize: 16, Seed: 3, Threads: 2, Rule: optimizer.DefaultAdam(), Rate: 1e-3}
}

// A loss that is finite and beyond all bounds is no training any more.
func TestRunawayLoss(t *testing.T) {
	net := tutorialHead(t, 10, 4)
	data := blobs(160, 10, 4, 2, 1)
	for i := range data.Values {
		data.Values[i] *= 1e14
	}
	o := adamOptions()
	o.Rule, o.Rate = optimizer.SGD{}, 1e8
	err := newTrainer(t, net, net.Initialise(1), o).Run(context.Background(), data, nil, nil)
	if diverged := (*DivergedError)(nil); !errors.As(err, &diverged) {
		t.Errorf("error %v", err)
	} else if t.Log(err); !strings.Contains(err.Error(), "the loss is") {
		t.Errorf("error %v", err)
	}
}

func TestLearnsBlobs(t *testing.T) {
	net := tutorialHead(t, 10, 4)
	trainer := newTrainer(t, net, net.Initialise(1), adamOptions())
	if err := trainer.Run(context.Background(), blobs(160, 10, 4, 0.3, 1), blobs(80, 10, 4, 0.3, 2), nil); err != nil {
		t.Fatal(err)
	}
	last := trainer.History()[11]
	if last.ValidationMeasures.Of(objective.Accuracy) != 1 || last.ValidationLoss > 0.05 || last.Measures.Of(objective.Accuracy) < 0.98 {
		t.Errorf("after %d epochs: %+v", len(trainer.History()), last)
	}
}

// noisy is a problem on which everything happens: the rate falls, a best epoch is passed, and
// training stops early.
func noisy() (o Options, training, validation *Table) {
	o = adamOptions()
	o.Epochs, o.Rate, o.Decay, o.ClipNorm = 40, 3e-3, 1e-3, 1
	o.Objective = objective.CrossEntropy{Smoothing: 0.05}
	o.Schedule = schedule.WarmUp(2, schedule.Plateau(0.5, 2, 0, 0, schedule.Falling))
	o.Stopping = schedule.NewStopping(6, 0, schedule.Falling)
	return o, blobs(97, 10, 4, 2, 1), blobs(50, 10, 4, 2, 2)
}

func TestResumedEqualsUndisturbed(t *testing.T) {
	net := tutorialHead(t, 10, 4)
	result := func(trainer *Trainer) string {
		best, epoch := trainer.Best()
		return fmt.Sprint(epoch, digest(trainer.Last()), digest(best), fmt.Sprintf("%+v", trainer.History()))
	}
	o, training, validation := noisy()
	undisturbed := newTrainer(t, net, net.Initialise(1), o)
	if err := undisturbed.Run(context.Background(), training, validation, nil); err != nil {
		t.Fatal(err)
	}
	want := result(undisturbed)
	epochs := len(undisturbed.History())
	if _, best := undisturbed.Best(); epochs == 40 || best == epochs || undisturbed.History()[epochs-1].Rate >= 3e-3 {
		t.Fatalf("the problem is too easy to tell: %d epochs, best %d, %+v", epochs, best, undisturbed.History())
	}
	killed := errors.New("killed")
	for stop := 1; stop < epochs; stop++ {
		var checkpoint []byte
		o, training, validation := noisy() // schedules remember
		first := newTrainer(t, net, net.Initialise(1), o)
		err := first.Run(context.Background(), training, validation, func(e Epoch) (err error) {
			if e.Number == stop {
				if checkpoint, err = first.Save(); err == nil {
					err = killed
				}
			}
			return err
		})
		if !errors.Is(err, killed) {
			t.Fatal(err)
		}
		o, training, validation = noisy()
		second := newTrainer(t, net, net.Initialise(99), o)
		if err := second.Restore(checkpoint); err != nil {
			t.Fatal(err)
		}
		if err := second.Run(context.Background(), training, validation, nil); err != nil {
			t.Fatal(err)
		}
		if result(second) != want {
			t.Fatalf("resumed after epoch %d, the training went another way", stop)
		}
	}
}

// digest spells weights, bit for bit.
func digest(w nn.Weights) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(w)) {
		fmt.Fprintf(&b, "%s %08x\n", name, crc32.ChecksumIEEE(bytesOf(w[name].Data)))
	}
	return b.String()
}

func bytesOf(x []float32) []byte {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, x)
	return b.Bytes()
}

func TestThreadsDoNotMatter(t *testing.T) {
	net := tutorialHead(t, 300, 4)
	var want string
	for _, threads := range []int{1, 2, 4} {
		o := adamOptions()
		o.Epochs, o.BatchSize, o.ClipNorm, o.Threads = 3, 64, 1, threads
		trainer := newTrainer(t, net, net.Initialise(1), o)
		if err := trainer.Run(context.Background(), blobs(200, 300, 4, 2, 1), blobs(70, 300, 4, 2, 2), nil); err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(digest(trainer.Last()), trainer.History())
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("%d threads gave\n%s\none gave\n%s", threads, got, want)
		}
	}
}

// TestSideBySide trains in several goroutines at once, as stages of one pipeline do: Gorgonia has
// state that all graphs of a process share.
func TestSideBySide(t *testing.T) {
	net := tutorialHead(t, 10, 4)
	results := iter.Map(make([]string, 4), func(*string) string {
		o, training, validation := noisy()
		o.Epochs = 4
		trainer, err := New(net, net.Initialise(1), o)
		if err != nil {
			return err.Error()
		}
		err = errors.Join(trainer.Run(context.Background(), training, validation, nil), trainer.Close())
		return fmt.Sprint(err, digest(trainer.Last()), trainer.History())
	})
	for _, r := range results {
		if r != results[0] {
			t.Errorf("two equal trainings gave\n%s\n%s", results[0], r)
		}
	}
}

func TestSeedMatters(t *testing.T) {
	net := tutorialHead(t, 10, 4)
	seen := map[string]bool{}
	for seed := range uint64(2) {
		o := adamOptions()
		o.Epochs, o.Seed = 1, seed
		trainer := newTrainer(t, net, net.Initialise(1), o)
		if err := trainer.Run(context.Background(), blobs(64, 10, 4, 2, 1), nil, nil); err != nil {
			t.Fatal(err)
		}
		seen[digest(trainer.Last())] = true
	}
	if len(seen) != 2 {
		t.Error("two seeds gave the same weights")
	}
}

func TestBestIsKept(t *testing.T) {
	net := tutorialHead(t, 10, 4)
	for _, monitor := range []Monitor{ValidationLoss, ValidationAccuracy} {
		o, training, validation := noisy()
		o.Monitor = monitor
		better, _ := monitor.Direction(nil)
		o.Stopping = schedule.NewStopping(8, 0, better)
		o.Schedule = nil
		trainer := newTrainer(t, net, net.Initialise(1), o)
		at := map[int]string{}
		err := trainer.Run(context.Background(), training, validation, func(e Epoch) error {
			at[e.Number] = digest(trainer.Last())
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		for i, e := range trainer.History() {
			if better.Better(monitor.of(e), monitor.of(trainer.History()[want]), 0) {
				want = i
			}
		}
		weights, epoch := trainer.Best()
		if epoch != want+1 || digest(weights) != at[epoch] {
			t.Errorf("%s: best epoch %d, want %d", monitor, epoch, want+1)
		}
		if len(trainer.History()) != epoch+8 {
			t.Errorf("%s: stopped after epoch %d, the best was %d", monitor, len(trainer.History()), epoch)
		}
	}
}

// What the training begins with is kept where every epoch makes it worse, also by a trainer that goes on
// from a checkpoint.
func TestStartIsKept(t *testing.T) {
	net := tutorialHead(t, 10, 4)
	_, training, validation := noisy()
	first := newTrainer(t, net, net.Initialise(1), adamOptions())
	if err := first.Run(context.Background(), training, validation, nil); err != nil {
		t.Fatal(err)
	}
	start, _ := first.Best()
	for keep, want := range map[bool]int{true: 0, false: 1} {
		o := adamOptions()
		o.Epochs, o.Rate, o.KeepStart = 2, 3, keep
		ruined := newTrainer(t, net, start, o)
		killed := errors.New("killed")
		var checkpoint []byte
		err := ruined.Run(context.Background(), training, validation, func(Epoch) (err error) {
			if checkpoint, err = ruined.Save(); err == nil {
				err = killed
			}
			return err
		})
		if !errors.Is(err, killed) {
			t.Fatal(err)
		}
		resumed := newTrainer(t, net, start, o)
		if err := resumed.Restore(checkpoint); err != nil {
			t.Fatal(err)
		}
		if err := resumed.Run(context.Background(), training, validation, nil); err != nil {
			t.Fatal(err)
		}
		best, epoch := resumed.Best()
		if min(epoch, 1) != want || (digest(best) == digest(start)) != keep {
			t.Errorf("keep start %v: kept epoch %d; history %+v", keep, epoch, resumed.History())
		}
	}
}

func TestWithoutValidation(t *testing.T) {
	net := tutorialHead(t, 10, 4)
	o := adamOptions()
	o.Epochs = 2
	trainer := newTrainer(t, net, net.Initialise(1), o)
	if err := trainer.Run(context.Background(), blobs(40, 10, 4, 1, 1), &Table{Width: 10}, nil); err != nil {
		t.Fatal(err)
	}
	weights, epoch := trainer.Best()
	if epoch != 2 || digest(weights) != digest(trainer.Last()) {
		t.Errorf("best epoch %d", epoch)
	}
	if e := trainer.History()[0]; !math.IsNaN(e.ValidationLoss) || !math.IsNaN(e.ValidationMeasures.Of(objective.Accuracy)) {
		t.Errorf("validation of nothing gave %+v", e)
	}
	o.Stopping = schedule.NewStopping(1, 0, schedule.Falling)
	if err := newTrainer(t, net, net.Initialise(1), o).Run(context.Background(), blobs(40, 10, 4, 1, 1), nil, nil); err == nil {
		t.Error("early stopping without validation was taken")
	}
}

func TestBatches(t *testing.T) {
	for _, c := range []struct {
		n, size int
		want    []int
	}{
		{8, 4, []int{4, 4}}, {9, 4, []int{4, 5}}, {10, 4, []int{4, 4, 2}}, {1, 4, []int{1}}, {3, 1, []int{1, 2}}, {5, 8, []int{5}},
	} {
		var got, seen []int
		for _, b := range batches(order(positionsOf(nil, c.n, 1), 1, 1), c.size) {
			got, seen = append(got, len(b)), append(seen, b...)
		}
		slices.Sort(seen)
		for i, p := range seen {
			if i != p {
				t.Errorf("%d by %d: positions %v", c.n, c.size, seen)
				break
			}
		}
		if !slices.Equal(got, c.want) || len(seen) != c.n {
			t.Errorf("%d by %d: batches of %v, want %v", c.n, c.size, got, c.want)
		}
	}
}

func TestErrors(t *testing.T) {
	net := tutorialHead(t, 10, 4)
	good := blobs(20, 10, 4, 1, 1)
	for _, c := range []struct {
		want   string
		spoil  func(o *Options)
		spoil2 func(t *Table)
	}{
		{"at least 1", func(o *Options) { o.Epochs = 0 }, nil},
		{"learning rate", func(o *Options) { o.Rate = 0 }, nil},
		{"smoothing", func(o *Options) { o.Objective = objective.CrossEntropy{Smoothing: 1} }, nil},
		{"3 class weights", func(o *Options) { o.Objective = objective.CrossEntropy{ClassWeights: []float64{1, 2, 3}} }, nil},
		{"class weights", func(o *Options) { o.Objective = objective.CrossEntropy{ClassWeights: []float64{1, 2, 3, 0}} }, nil},
		{"momentum", func(o *Options) { o.Rule = optimizer.SGD{Momentum: 2} }, nil},
		{"diverged", func(o *Options) { o.Rule, o.Rate = optimizer.SGD{}, 1e30 }, nil},
		{"batch of one example", nil, func(t *Table) { t.Values = t.Values[:10] }},
		{"no example", nil, func(t *Table) { t.Values = nil }},
		{"no target", nil, func(t *Table) { t.Classes = nil }},
		{"val_auc is not among", func(o *Options) { o.Monitor = "val_auc" }, nil},
		{"of class 7", nil, func(t *Table) { t.Classes[3] = 7 }},
	} {
		o, table := adamOptions(), &Table{Width: 10, Values: good.Values, Classes: slices.Clone(good.Classes)}
		if c.spoil != nil {
			c.spoil(&o)
		}
		if c.spoil2 != nil {
			c.spoil2(table)
		}
		trainer, err := New(net, net.Initialise(1), o)
		if err == nil {
			err = errors.Join(trainer.Run(context.Background(), table, nil, nil), trainer.Close())
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
	if _, err := New(net, nn.Weights{}, adamOptions()); err == nil {
		t.Error("a network without weights was taken")
	}
}

// stopping cancels a context when it is read for the second time.
type stopping struct {
	*Table
	cancel context.CancelFunc
	reads  int
}

func (s *stopping) Read(positions []int, into Batch) error {
	if s.reads++; s.reads == 2 {
		s.cancel()
	}
	return s.Table.Read(positions, into)
}

func TestStopsWithinAStep(t *testing.T) {
	net := tutorialHead(t, 10, 4)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	examples := &stopping{Table: blobs(64, 10, 4, 1, 1), cancel: cancel}
	trainer := newTrainer(t, net, net.Initialise(1), adamOptions())
	if err := trainer.Run(ctx, examples, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if examples.reads != 2 {
		t.Errorf("%d batches were read", examples.reads)
	}
}

func checkpointOf(t testing.TB) (*Trainer, []byte) {
	o, training, validation := noisy()
	o.Epochs = 2
	net := tutorialHead(t, 10, 4)
	trainer := newTrainer(t, net, net.Initialise(1), o)
	if err := trainer.Run(context.Background(), training, validation, nil); err != nil {
		t.Fatal(err)
	}
	data, err := trainer.Save()
	if err != nil {
		t.Fatal(err)
	}
	return trainer, data
}

func TestDamagedCheckpointsChangeNothing(t *testing.T) {
	_, data := checkpointOf(t)
	fresh := func(o Options, net *nn.Network) *Trainer { return newTrainer(t, net, net.Initialise(5), o) }
	o, _, _ := noisy()
	trainer := fresh(o, tutorialHead(t, 10, 4))
	before, err := trainer.Save()
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(data)
	flipped[len(flipped)/2] ^= 1
	for name, bad := range map[string][]byte{
		"empty": nil, "truncated": data[:len(data)-7], "flipped": flipped, "longer": append(slices.Clone(data), 0),
		"other": []byte("something else altogether, of some length"),
	} {
		if err := trainer.Restore(bad); err == nil {
			t.Errorf("a checkpoint that is %s was taken", name)
		}
	}
	if after, _ := trainer.Save(); !bytes.Equal(before, after) {
		t.Error("a damaged checkpoint changed the trainer")
	}
	if err := fresh(o, tutorialHead(t, 11, 4)).Restore(data); err == nil {
		t.Error("a checkpoint of another network was taken")
	}
	o.Rule = optimizer.SGD{Momentum: 0.9}
	if err := fresh(o, tutorialHead(t, 10, 4)).Restore(data); err == nil {
		t.Error("a checkpoint of another optimizer was taken")
	}
	o, _, _ = noisy()
	o.Schedule = nil
	if err := fresh(o, tutorialHead(t, 10, 4)).Restore(data); err == nil {
		t.Error("a checkpoint of another schedule was taken")
	}
}

func TestSavedIsRestored(t *testing.T) {
	trainer, data := checkpointOf(t)
	o, _, _ := noisy()
	net := tutorialHead(t, 10, 4)
	other := newTrainer(t, net, net.Initialise(5), o)
	if err := other.Restore(data); err != nil {
		t.Fatal(err)
	}
	again, err := other.Save()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, again) || !reflect.DeepEqual(trainer.History(), other.History()) {
		t.Error("what was restored differs from what was saved")
	}
}

func FuzzRestore(f *testing.F) {
	o := Options{Epochs: 2, BatchSize: 4, Rule: optimizer.SGD{Momentum: 0.9}, Rate: 0.1}
	b := nn.NewBuilder()
	b.Layer("logits", nn.Dense{Out: 2, Bias: true}, b.Input("features", 3))
	net, err := b.Network()
	if err != nil {
		f.Fatal(err)
	}
	trainer := newTrainer(f, net, net.Initialise(1), o)
	if err := trainer.Run(context.Background(), blobs(8, 3, 2, 1, 1), blobs(4, 3, 2, 1, 2), nil); err != nil {
		f.Fatal(err)
	}
	data, err := trainer.Save()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data[:len(data)-4])
	f.Fuzz(func(t *testing.T, body []byte) {
		sum := crc32.ChecksumIEEE(body) // else nothing gets past the first check
		budgettest.Within(t, len(body), func() {
			if err := trainer.Restore(binary.LittleEndian.AppendUint32(body, sum)); err != nil {
				return
			}
			if _, err := trainer.Save(); err != nil {
				t.Error(err)
			}
		})
	})
}

// BenchmarkTutorialHead is an epoch of the quickstart's size: 353 pictures in 5 copies.
func BenchmarkTutorialHead(b *testing.B) {
	net := tutorialHead(b, 1280, 8)
	o := adamOptions()
	o.Epochs, o.BatchSize = 1<<30, 32
	trainer := newTrainer(b, net, net.Initialise(1), o)
	training, validation := blobs(353*5, 1280, 8, 2, 1), blobs(75, 1280, 8, 2, 2)
	for b.Loop() {
		if _, err := trainer.epoch(context.Background(), training, validation); err != nil {
			b.Fatal(err)
		}
	}
}
