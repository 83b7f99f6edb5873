package limits

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/tlpipe/tlpipe/internal/bench"
	"github.com/tlpipe/tlpipe/internal/deploy"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Params are the parameters of the stage.
type Params struct {
	Size       params.Bytes  `yaml:"size" doc:"maximum size of the stored weights, such as 5MB, including those of a frozen backbone"`
	Latency    time.Duration `yaml:"latency" doc:"maximum time for one picture on this machine, from the bytes of its file to the prediction, such as 20ms"`
	Percentile float64       `yaml:"percentile" min:"1" max:"100" doc:"percentage of the pictures that must be within latency"`
	Threads    int           `yaml:"threads" min:"0" max:"1024" doc:"threads per picture; 0: as many as the run gives the stage"`
	Pictures   int           `yaml:"pictures" min:"1" max:"100000" doc:"pictures in each of three series; the fastest series counts"`
	Weights    string        `yaml:"weights" recipe:"-" doc:"the file of the backbone's weights, if the model is a head on features extracted with weights from a file"`
}

// What is measured if a user does not say.
const (
	usualPercentile = 50
	usualPictures   = 30
)

// Kind declares the stage.
func Kind() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "budget",
		Summary: "fail if a model is larger or slower than allowed",
		Doc: "Compares each input model with limits: size, the bytes of its stored weights, and latency, the time from the bytes of a picture " +
			"file (a JPEG of 640×480 pixels) to the prediction on this machine, one picture after the other. If a limit is exceeded, the stage fails and states the " +
			"numbers; models and scores stay in the cache. The measured latency is printed but not stored; the result holds only the sizes. A cached result is " +
			"measured again only if the processor's instructions or the number of processors differ, or with --force.",
		Example: `ships:
  uses: budget
  from: {model: small}
  with: {size: 5MB, latency: 20ms}
`,
		Version: 1,
		Inputs:  []pipeline.Port{{Name: "model", Kind: pipeline.Model, Many: true, Doc: "trained models, each of which must be within the limits"}},
		Outputs: []pipeline.Port{{Name: "sizes", Kind: pipeline.Metrics, Doc: "one row per model: bytes of its weights, parameters, multiply-adds, and the limits"}},
	}, Params{Percentile: usualPercentile, Pictures: usualPictures}, build)
}

type stage struct {
	Params
	dir string
}

func build(p Params) (pipeline.Stage, error) {
	if p.Size == 0 && p.Latency == 0 {
		return nil, pipeline.ParamErrorHint("size", "size: 5MB, latency: 20ms, or one of them", "no limit is set")
	}
	if p.Latency == 0 {
		var errs []error
		for param, given := range map[string]bool{"percentile": p.Percentile != usualPercentile, "pictures": p.Pictures != usualPictures, "threads": p.Threads != 0} {
			if given {
				errs = append(errs, pipeline.ParamErrorHint(param, "add latency, or leave this out", "is for latency, and no limit of it is set"))
			}
		}
		if len(errs) > 0 {
			return nil, errors.Join(errs...)
		}
	}
	if p.Latency < 0 {
		return nil, pipeline.ParamErrorHint("latency", "such as 20ms", "%v is not a valid limit", p.Latency)
	}
	return &stage{Params: p}, nil
}

// Locate implements pipeline.Located.
func (s *stage) Locate(dir string) { s.dir = dir }

// Check implements pipeline.Stage.
func (s *stage) Check(inputs map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	return nil, classifier.CheckOne("budget", inputs["model"])
}

// Identity implements pipeline.Identified: another machine measures again.
func (s *stage) Identity() (map[string]string, error) {
	if s.Latency == 0 {
		return nil, nil
	}
	instructions, err := kernel.InstructionSet()
	return map[string]string{"machine": fmt.Sprintf("%s %s, %d processors", runtime.GOARCH, instructions, runtime.NumCPU())}, err
}

// Run implements pipeline.WholeTable.
func (s *stage) Run(ctx context.Context, task *pipeline.Task) error {
	var rows []record.ModelBudget
	var missed []string
	for _, in := range task.Inputs["model"] {
		stored, err := classifier.Read(ctx, in)
		if err != nil {
			return err
		}
		row, err := s.size(in.Name(), stored)
		if err != nil {
			return fmt.Errorf("model %s: %w", in.Name(), err)
		}
		rows = append(rows, row)
		task.Log("%s: %s", in.Name(), sizeInWords(row))
		if row.MostBytes > 0 && row.Bytes > row.MostBytes {
			missed = append(missed, fmt.Sprintf("%s: %s", in.Name(), sizeInWords(row)))
		}
		if s.Latency == 0 {
			continue
		}
		took, err := s.latency(ctx, in.Name(), stored, max(task.Threads, 1))
		if err != nil {
			return fmt.Errorf("model %s: measure its latency: %w", in.Name(), err)
		}
		text := fmt.Sprintf("%s: %.2f ms per picture (percentile %g of %d, the best of %d series; network alone %.2f ms); the limit is %v",
			in.Name(), 1e3*took.whole, s.Percentile, s.Pictures, series, 1e3*took.network, s.Latency)
		task.Log("%s", text)
		if took.whole > s.Latency.Seconds() {
			missed = append(missed, text)
		}
	}
	if missed != nil {
		return fmt.Errorf("the budget is exceeded: %s", strings.Join(missed, "; "))
	}
	rec := record.FromRows(rows)
	defer rec.Release()
	w, err := task.Output("sizes", rec.Schema())
	if err != nil {
		return err
	}
	return errors.Join(w.Write(rec), w.Close())
}

func sizeInWords(m record.ModelBudget) string {
	text := fmt.Sprintf("%.3g MB of weights, %d parameters", float64(m.Bytes)/1e6, m.Parameters)
	if m.MostBytes > 0 {
		text += fmt.Sprintf("; the limit is %.3g MB", float64(m.MostBytes)/1e6)
	}
	return text
}

// size counts the weights.
func (s *stage) size(name string, stored *classifier.Classifier) (record.ModelBudget, error) {
	out := record.ModelBudget{Model: name, MostBytes: int64(s.Size), MostMilliseconds: s.Latency.Seconds() * 1e3, MultiplyAdds: stored.Network.MultiplyAdds()}
	out.Parameters, _ = stored.Network.ParameterCount()
	model, err := stored.Model()
	if err != nil {
		return out, err
	}
	for _, t := range model.Tensors {
		out.Bytes += t.StoredBytes()
	}
	if _, ok := stored.Input().Transforms.Extraction(); !ok {
		return out, nil
	}
	whole, err := deploy.Stored(stored, s.path())
	if err != nil {
		return out, err
	}
	out.Parameters, _ = whole.Network.ParameterCount()
	own, _ := stored.Network.ParameterCount()
	out.Bytes += 4 * (out.Parameters - own)
	out.MultiplyAdds = whole.Network.MultiplyAdds()
	return out, nil
}

func (s *stage) path() string {
	if s.Weights == "" || filepath.IsAbs(s.Weights) {
		return s.Weights
	}
	return filepath.Join(s.dir, s.Weights)
}

// series is how often latency is measured.
const series = 3

// times are seconds for a picture.
type times struct{ whole, network float64 }

func (s *stage) latency(ctx context.Context, name string, stored *classifier.Classifier, threads int) (times, error) {
	if s.Threads > 0 {
		threads = s.Threads
	}
	l := bench.Latency{
		Model: name, Weights: s.path(), Threads: threads, WarmUp: 3, Repeat: s.Pictures, Series: series, Percentile: s.Percentile,
		Read: func(context.Context) (*classifier.Classifier, error) { return stored, nil },
	}
	whole, network, err := l.Fastest(ctx)
	return times{whole, network}, err
}
