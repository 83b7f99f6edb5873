package distill

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
	"github.com/tlpipe/tlpipe/internal/transfer/teacher"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Params are the parameters of the stage distill: those of a training, whose backbone is the student's, and what is learned of
// the teachers.
type Params struct {
	transfer.Params
	Lesson
}

// Lesson is what a student learns of its teachers.
type Lesson struct {
	Loss           teacher.Losses `yaml:"loss" doc:"what is learned of the teacher: kd (the default), or dkd, fitnet, at or rkd with its published settings; or a mapping with one or several of them, which are added up"`
	TeacherWeights []float64      `yaml:"teacher_weights" above:"0" doc:"of several teachers: the weight of each one's logits in their mean, in the order of from; all alike if not given"`
}

// DecodeParam implements params.Decoder: all layers of a student learn, unless a strategy says otherwise.
func (p *Params) DecodeParam(d *params.Decoding, node *yaml.Node) {
	p.Params.Begin(node, true)
	type training transfer.Params // without its own way of decoding
	fields := struct {
		training
		Lesson
	}{training(p.Params), p.Lesson}
	d.Into(node, &fields)
	p.Params, p.Lesson = transfer.Params(fields.training), fields.Lesson
	p.Params.Complete(d, node, strategy.Full)
}

// alonePort is the output with the student that had no teacher.
const alonePort = "alone"

// Kind declares the stage distill.
func Kind() pipeline.Kind {
	defaults := transfer.Defaults()
	return pipeline.Define(pipeline.Kind{
		Name:    "distill",
		Summary: "train a small network to be like trained ones",
		Doc: "A student, the backbone with a head or the network of the input model, learns of the labels and of teachers: networks on pictures that " +
			"finetune trained. What a teacher's layers give for each picture, and for each augmented copy, is computed once and cached by the pixels: " +
			"another student, temperature or loss asks it nothing. A teacher whose pictures had another size or normalisation sees those of the data resampled and " +
			"normalised as it was trained. Training rows without a label are used too: the teacher alone is learned of them. With mixup or cutmix, the " +
			"teacher's distributions are mixed as the pictures are. Everything else is as in finetune: phases, frozen layers, cached activations, checkpoints. " +
			"The same student is also trained alone, with the same settings, on the rows that have labels; both are compared on the validation rows.",
		Example: `student:
  uses: distill
  from: {teacher: net, data: images}
  with: {backbone: tutorial_student, loss: {kd: {temperature: 2, alpha: 0.5}}, epochs: 10}`,
		Version: 6,
		Seeded:  true,
		Inputs: []pipeline.Port{
			{Name: transfer.TeacherPort, Kind: pipeline.Model, Many: true, Doc: "trained networks on pictures, one or several, whose logits are averaged"},
			{Name: transfer.DataPort, Kind: pipeline.Images, Doc: "rows with images, classes and splits; training rows may have no class"},
			{Name: transfer.ModelPort, Kind: pipeline.Model, Optional: true, Doc: "a trained or pruned network to be the student, instead of a backbone and a new head"},
		},
		Outputs: []pipeline.Port{
			{Name: transfer.ModelPort, Kind: pipeline.Model, Doc: "the distilled student, with the weights selected by restore"},
			{Name: alonePort, Kind: pipeline.Model, Doc: "the same student, trained without its teachers"},
			{Name: "last", Kind: pipeline.Model, Doc: "the distilled student with the weights of the last epoch"},
			{Name: "history", Kind: pipeline.Metrics, Doc: "one row per epoch of the distilled student, as finetune has it"},
			{Name: "phases", Kind: pipeline.Metrics, Doc: "one row per phase and block of the network, as finetune has it"},
			{Name: "diagnostics", Kind: pipeline.Metrics, Doc: "overfitting, drift of the features"},
			{Name: "curves", Kind: pipeline.Metrics, Doc: "one row per epoch of the student alone and distilled"},
			{Name: "sizes", Kind: pipeline.Metrics, Doc: "teachers and students: size, accuracy and agreement with the teacher on the validation rows"},
			{Name: "softened", Kind: pipeline.Metrics, Doc: "distributions over the classes of a few validation pictures, at temperature 1 and at that of the loss"},
		},
	}, Params{defaults, Lesson{Loss: teacher.Usual()}}, build)
}

// stage is the kind with its parameters filled in.
type stage struct {
	*transfer.Setup
	weights []float64
}

func build(p Params) (pipeline.Stage, error) {
	setup, err := transfer.New(p.Params)
	if err = errors.Join(err, p.Target.One("distill")); err != nil {
		return nil, err
	}
	if setup, err = setup.Guided(transfer.Guidance{Losses: p.Loss, Weights: p.TeacherWeights}); err != nil {
		return nil, err
	}
	return &stage{setup, p.TeacherWeights}, nil
}

// Check implements pipeline.Stage.
func (s *stage) Check(inputs map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	switch n, teachers := len(s.weights), len(inputs[transfer.TeacherPort]); {
	case n == 1 && teachers == 1:
		return nil, pipeline.ParamErrorHint("teacher_weights", "leave it out", "one teacher has no weight among others")
	case n > 0 && n != teachers:
		return nil, pipeline.ParamErrorHint("teacher_weights", "give one each, in the order of from", "there are %d weights, and the number of teachers is %d", n, teachers)
	}
	if err := classifier.CheckOne("distill", slices.Concat(inputs[transfer.TeacherPort], inputs[transfer.ModelPort])); err != nil {
		return nil, err
	}
	told := classifier.CheckSingleLabel("distill", transfer.TeacherPort, inputs[transfer.TeacherPort])
	if told == nil && s.Target == record.Label {
		told = classifier.CheckSingleLabel("distill", transfer.DataPort, inputs[transfer.DataPort])
	}
	if told != nil {
		return nil, told
	}
	for _, traits := range inputs[transfer.TeacherPort] {
		if _, features := traits[record.ExtractionKey]; features {
			return nil, errors.New("a teacher takes features, not pictures: train a whole network on pictures (finetune with a backbone)")
		}
	}
	out, err := s.Setup.Check(inputs)
	if err != nil {
		return nil, err
	}
	out[alonePort] = out[transfer.ModelPort]
	return out, nil
}

// Notes implements pipeline.Noted.
func (s *stage) Notes() []string {
	notes := s.Setup.Notes()
	if s.MixUp > 0 || s.CutMix > 0 {
		notes = append(notes, "pictures are mixed, and the teacher's softened distributions with them, in the same shares: the teacher is not asked about mixed pictures")
	}
	return notes
}

// PlanParts implements pipeline.PartsPlanner.
func (s *stage) PlanParts(inputs map[string][]pipeline.Input, seed uint64, ask func(pipeline.Part) (map[string]pipeline.Input, bool)) (int, error) {
	alone, err := s.Alone().PlanParts(inputs, seed, ask)
	if err != nil || alone == 0 {
		return 0, err
	}
	guided, err := s.Setup.PlanParts(inputs, seed, ask)
	if err != nil || guided == 0 {
		return 0, err
	}
	return alone + guided, nil
}

// Run implements pipeline.WholeTable.
func (s *stage) Run(ctx context.Context, task *pipeline.Task) error {
	if err := s.CheckTeachers(ctx, task); err != nil {
		return err
	}
	alone, err := s.Alone().Train(ctx, saying(task, "alone: "))
	if err != nil {
		return fmt.Errorf("student alone: %w", err)
	}
	distilled, err := s.Train(ctx, saying(task, "distilled: "))
	if err != nil {
		return err
	}
	compared, err := s.Compare(ctx, task,
		transfer.Student{Role: record.RoleDistilled, Name: record.RoleDistilled, Model: distilled.Model},
		transfer.Student{Role: record.RoleAlone, Name: record.RoleAlone, Model: alone.Model})
	if err != nil {
		return err
	}
	for _, row := range compared.Sizes {
		task.Log("%s", inWords(row))
	}
	return errors.Join(
		writeModel(task, transfer.ModelPort, distilled.Model),
		writeModel(task, alonePort, alone.Model),
		writeModel(task, "last", distilled.Last),
		task.WriteRecord("history", record.FromRows(distilled.History)),
		task.WriteRecord("phases", record.FromRows(distilled.Phases)),
		task.WriteRecord("diagnostics", record.FromRows(distilled.Diagnostics)),
		task.WriteRecord("curves", record.FromRows(append(curve(record.RoleAlone, alone.History), curve(record.RoleDistilled, distilled.History)...))),
		task.WriteRecord("sizes", record.FromRows(compared.Sizes)),
		task.WriteRecord("softened", record.FromRows(compared.Softened)),
	)
}

// saying is the task with a word before each line that it logs.
func saying(task *pipeline.Task, word string) *pipeline.Task {
	own, env := *task, *task.Env
	env.Log = func(format string, args ...any) { task.Log("%s%s", word, fmt.Sprintf(format, args...)) }
	own.Env = &env
	return &own
}

// inWords tells of a network in a line.
func inWords(m record.ModelSize) string {
	name := m.Role
	if m.Role == record.RoleTeacher {
		name += " " + m.Model
	}
	line := fmt.Sprintf("%s: %d parameters, %.4g million multiply-adds", name, m.Parameters, float64(m.MultiplyAdds)/1e6)
	if m.Rows > 0 {
		line += fmt.Sprintf(", on %d validation rows accuracy %.1f %% (%.1f to %.1f)", m.Rows, 100*m.Accuracy, 100*m.Low, 100*m.High)
		if m.Role != record.RoleTeacher {
			line += fmt.Sprintf(", agrees with the teacher on %.1f %%", 100*m.Agreement)
		}
	}
	return line
}

// curve are the epochs of a student.
func curve(role string, epochs []record.TrainingEpoch) (out []record.DistillationCurve) {
	for _, e := range epochs {
		out = append(out, record.DistillationCurve{
			Student: role, Phase: e.Phase, Epoch: e.Epoch, Loss: e.Loss, ValidationLoss: e.ValidationLoss, ValidationAccuracy: e.ValidationAccuracy, Kept: e.Kept,
		})
	}
	return out
}

// writeModel writes a network to an output.
func writeModel(task *pipeline.Task, port string, c *classifier.Classifier) error {
	rec, err := c.Record()
	if err != nil {
		return err
	}
	return task.WriteRecord(port, rec)
}
