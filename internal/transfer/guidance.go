package transfer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/head"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/internal/transfer/teacher"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// TeacherPort is the input port of those that a student learns of.
const TeacherPort = "teacher"

// Guidance is what a training learns of teachers, beside the labels of its rows.
type Guidance struct {
	Losses  teacher.Losses
	Weights []float64 // of the teachers' logits in their mean; nil: all 1

	alone bool // the labels alone are learned, of the rows that have one
}

// Guided returns the training with teachers, which stand at the port [TeacherPort].
func (s *Setup) Guided(g Guidance) (*Setup, error) {
	var errs []error
	if (s.MixUp > 0 || s.CutMix > 0) && !g.Losses.Mixes() {
		param := "mixup"
		if s.CutMix > 0 {
			param = "cutmix"
		}
		errs = append(errs, pipeline.ParamErrorHint(param, "leave it out, or learn of the logits alone: loss: kd",
			"what a teacher's layers give for mixed pictures is not known"))
	}
	if s.Head.Converges() {
		errs = append(errs, pipeline.ParamErrorHint("head", "take head: linear", "%s is fitted to its end: it learns of no teacher", s.Head.Kind))
	}
	out := *s
	out.guidance = &g
	return &out, errors.Join(errs...)
}

// Alone returns the training of the same network, on the same rows as far as they have labels and with the same settings, without
// what its teachers tell.
func (s *Setup) Alone() *Setup {
	out, g := *s, *s.guidance
	g.alone = true
	out.guidance = &g
	return &out
}

// guided tells whether teachers are learned of.
func (s *Setup) guided() bool { return s.guidance != nil && !s.guidance.alone }

// check refuses losses that name layers which the student, up to its head, does not have.
func (g *Guidance) check(student *nn.Network) error {
	if g == nil {
		return nil
	}
	var errs []error
	named := g.Losses.OfStudent()
	for _, param := range slices.Sorted(maps.Keys(named)) {
		for _, name := range named[param] {
			if _, ok := student.Find(name); !ok {
				errs = append(errs, pipeline.ParamErrorHint("loss."+param, params.DidYouMean(name, student.Scopes()), "the student has no layer %q below its head", name))
			}
		}
	}
	return errors.Join(errs...)
}

// guidedRecipe is the recipe of a phase that learns of teachers, which are among its inputs.
type guidedRecipe struct {
	phaseRecipe
	Losses  teacher.Losses `yaml:"losses"`
	Weights []float64      `yaml:"teacher_weights"`
}

// teacherInputs adds the teachers to the inputs of a part.
func teacherInputs(of map[string]pipeline.Input, inputs map[string][]pipeline.Input) {
	for i, in := range inputs[TeacherPort] {
		of[fmt.Sprintf("%s%d", TeacherPort, i)] = in
	}
}

// guide is guidance at work.
type guide struct {
	*Guidance
	teachers []*teacher.Teacher
	orders   [][]int // by teacher: where its logits of the classes are

	terms  objective.Sum       // beside the labels
	layers map[string]string   // target: layer of the first teacher
	shapes map[string]nn.Shape // of the targets
	marks  []string            // layers of the student that are compared, or that regressors give
}

// readTeachers reads the teachers, and numbers the classes as the first of them does, unless the student has an order of its own.
func (s *Setup) readTeachers(ctx context.Context, task *pipeline.Task, d *rows.Data) (*guide, error) {
	g := &guide{Guidance: s.guidance, layers: map[string]string{}, shapes: map[string]nn.Shape{}}
	if d.Task() != record.SingleLabel || !d.Pictures {
		return nil, errors.New("a student learns one of several classes of pictures: the data have none")
	}
	for _, in := range task.Inputs[TeacherPort] {
		t, err := teacher.Read(ctx, in)
		if err != nil {
			return nil, err
		}
		g.teachers = append(g.teachers, t)
	}
	if len(g.teachers) == 0 {
		return nil, errors.New("there is no teacher")
	}
	if n := len(g.Weights); n > 0 && n != len(g.teachers) {
		return nil, pipeline.ParamErrorHint("teacher_weights", "give one each", "%d weights for %d teachers", n, len(g.teachers))
	}
	if len(g.teachers) > 1 && g.Losses.Layers() {
		return nil, pipeline.ParamErrorHint("loss", "take kd or dkd, or one teacher", "layers of %d teachers have no mean: their logits do", len(g.teachers))
	}
	if task.Input(ModelPort) == nil {
		if err := d.Renumber(g.teachers[0].Head); err != nil {
			return nil, fmt.Errorf("teacher %s: %w", g.teachers[0].Name, err)
		}
	}
	return g, nil
}

// attach adds to the network what learns to be like the teacher, and decides the terms of the objective.
func (g *guide) attach(s subject, d *rows.Data, seed uint64) (subject, error) {
	for _, t := range g.teachers {
		order, err := t.Order(d.Target.Classes)
		if err != nil {
			return s, err
		}
		g.orders = append(g.orders, order)
	}
	t, l := g.teachers[0], g.Losses
	if l.KD != nil {
		g.terms = append(g.terms, objective.Term{Name: "kd", Weight: objective.Constant(l.KD.Alpha), Objective: objective.KD{Temperature: l.KD.Temperature}})
	}
	if l.DKD != nil {
		g.terms = append(g.terms, objective.Term{Name: "dkd", Weight: warm(l.DKD.WarmUp),
			Objective: objective.DKD{Temperature: l.DKD.Temperature, Alpha: l.DKD.Alpha, Beta: l.DKD.Beta}})
	}
	g.shapes[objective.Teacher] = nn.Shape{len(d.Target.Classes)}
	own, err := s.net.Cut(s.trunk)
	if err != nil {
		return s, err
	}
	trunk, err := t.Network.Cut(t.Logits)
	if err != nil {
		return s, err
	}
	var regressors []nn.Layer
	if l.FitNet != nil {
		pairs, err := pairsOf(l.FitNet.Layers, own, trunk)
		if err != nil {
			return s, fmt.Errorf("loss: fitnet: %w", err)
		}
		for i, p := range pairs {
			layer, err := regressor(fmt.Sprintf("%s.hint%d", head.Scope, i+1), p, s.net.Shape(p.student), t.Network.Shape(p.teacher))
			if err != nil {
				return s, fmt.Errorf("loss: fitnet: %w", err)
			}
			regressors = append(regressors, layer)
			g.compare(layer.Name, p.teacher, t)
			g.terms = append(g.terms, objective.Term{Name: layer.Name, Weight: objective.Constant(l.FitNet.Weight), Objective: objective.Hint{Output: layer.Name, Target: targetOf(p.teacher)}})
		}
	}
	if l.AT != nil {
		pairs, err := pairsOf(l.AT.Layers, own, trunk)
		if err != nil {
			return s, fmt.Errorf("loss: at: %w", err)
		}
		for i, p := range pairs {
			a, b := s.net.Shape(p.student), t.Network.Shape(p.teacher)
			if len(a) != 3 || len(b) != 3 {
				return s, fmt.Errorf("loss: at: the student's layer %q gives %v, the teacher's %q %v: attention is of maps", p.student, a, p.teacher, b)
			}
			g.compare(p.student, p.teacher, t)
			g.terms = append(g.terms, objective.Term{Name: fmt.Sprintf("at%d", i+1), Weight: objective.Constant(l.AT.Weight),
				Objective: objective.Attention{Output: p.student, Target: targetOf(p.teacher), Of: b}})
		}
	}
	if l.RKD != nil {
		p := pair{l.RKD.Student, l.RKD.Teacher}
		if p.student == "" {
			p.student = s.trunk
		}
		if p.teacher == "" {
			if p.teacher, err = t.Features(head.Scope); err != nil {
				return s, fmt.Errorf("loss: rkd: %w", err)
			}
		}
		if p, err = p.in(own, trunk); err != nil {
			return s, fmt.Errorf("loss: rkd: %w", err)
		}
		g.compare(p.student, p.teacher, t)
		g.terms = append(g.terms, objective.Term{Name: "rkd", Objective: objective.Relation{
			Output: p.student, Target: targetOf(p.teacher), Of: t.Network.Shape(p.teacher), Distance: l.RKD.Distance, Angle: l.RKD.Angle,
		}})
	}
	return g.extend(s, regressors, seed)
}

// warm is a weight that rises to 1 over so many epochs.
func warm(epochs int) func(schedule.Position) float64 {
	return func(at schedule.Position) float64 { return min(float64(at.Epoch+1)/float64(max(epochs, 1)), 1) }
}

// targetOf names the target with what a layer of the teacher gives.
func targetOf(layer string) string { return objective.Teacher + "/" + layer }

// compare takes note that a layer of the student is held against one of the teacher.
func (g *guide) compare(student, layer string, t *teacher.Teacher) {
	g.layers[targetOf(layer)], g.shapes[targetOf(layer)] = layer, t.Network.Shape(layer)
	if !slices.Contains(g.marks, student) {
		g.marks = append(g.marks, student)
	}
}

// pair is a layer of the student and one of the teacher.
type pair struct{ student, teacher string }

// in finds the layers that the names stand for.
func (p pair) in(student, its *nn.Network) (pair, error) {
	own, ok := student.Find(p.student)
	if !ok {
		return p, fmt.Errorf("the student has no layer %q below its head; it has: %v", p.student, student.Scopes())
	}
	other, ok := its.Find(p.teacher)
	if !ok {
		return p, fmt.Errorf("the teacher has no layer %q; it has: %v", p.teacher, its.Scopes())
	}
	return pair{own.Name, other.Name}, nil
}

// pairsOf are the pairs of layers, in order; the last maps if none is named.
func pairsOf(layers map[string]string, student, its *nn.Network) (pairs []pair, err error) {
	if len(layers) == 0 {
		var p pair
		if p.student, err = teacher.LastMap(student); err == nil {
			p.teacher, err = teacher.LastMap(its)
		}
		return []pair{p}, err
	}
	for _, name := range slices.Sorted(maps.Keys(layers)) {
		p, err := pair{name, layers[name]}.in(student, its)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

// regressor is the layer that brings what the student's layer gives to the teacher's shape: a dense layer, or a convolution
// whose window is as large as it takes without padding, as FitNets has it.
func regressor(name string, p pair, own, its nn.Shape) (nn.Layer, error) {
	l := nn.Layer{Name: name, Inputs: []string{p.student}}
	switch {
	case len(own) == 1 && len(its) == 1:
		l.Op = nn.Dense{Out: its[0], Bias: true}
	case len(own) == 3 && len(its) == 3 && own[0] >= its[0] && own[1] >= its[1]:
		l.Op = nn.Conv{Out: its[2], Kernel: nn.Pair{1 + own[0] - its[0], 1 + own[1] - its[1]}, Bias: true}
	case len(own) == 3 && len(its) == 3:
		return l, fmt.Errorf("the student's layer %q gives %v, smaller than the teacher's %q with %v: name a lower layer of the student, or a higher one of the teacher", p.student, own, p.teacher, its)
	default:
		return l, fmt.Errorf("the student's layer %q gives %v, the teacher's %q %v: both must be maps, or both vectors", p.student, own, p.teacher, its)
	}
	return l, nil
}

// extend puts the regressors below the head, and makes what is compared outputs of the network: no activations are cached above.
func (g *guide) extend(s subject, regressors []nn.Layer, seed uint64) (subject, error) {
	if len(g.marks) == 0 {
		return s, nil
	}
	layers, put := []nn.Layer{}, false
	for _, l := range s.net.Layers() {
		if head.Contains(l.Name) && !put {
			layers, put = append(layers, regressors...), true
		}
		layers = append(layers, l)
	}
	net, err := nn.New(layers, append([]string{s.net.Output().Name}, g.marks...)...)
	if err != nil {
		return s, fmt.Errorf("hints of the teacher: %w", err)
	}
	drawn, weights := net.InitialiseGlorot(seed), maps.Clone(s.weights)
	for _, p := range net.Parameters() {
		if _, ok := weights[p.Name()]; !ok {
			weights[p.Name()] = drawn[p.Name()]
		}
	}
	s.net, s.weights = net, weights
	return s, nil
}

// objective is what is trained: the labels and the teacher, judged by the labels.
func (g *guide) objective(labels, judge objective.CrossEntropy) objective.Objective {
	labels.Unlabelled = true
	all := append(objective.Sum{{Objective: labels, Weight: objective.Constant(g.Losses.LabelWeight())}}, g.terms...)
	return objective.Judged{Objective: all, By: judge}
}

// lessons are what the teachers tell of the rows.
type lessons struct {
	*guide
	logits []*teacher.Lesson          // by teacher
	layers map[string]*teacher.Lesson // by layer of the first
	all    []map[string]*teacher.Lesson
}

// ask fetches what the teachers tell, from the cache as far as it is there.
func (g *guide) ask(ctx context.Context, task *pipeline.Task, d *rows.Data, copies int, precision string) (_ *lessons, err error) {
	out := &lessons{guide: g}
	defer func() {
		if err != nil {
			err = errors.Join(err, out.close())
		}
	}()
	for i, t := range g.teachers {
		layers := []string{t.Logits}
		if i == 0 {
			layers = append(layers, slices.Sorted(maps.Values(g.layers))...)
		}
		fetched, err := t.Lessons(ctx, task, d, copies, precision, layers...)
		if err != nil {
			return nil, err
		}
		out.all = append(out.all, fetched)
		out.logits = append(out.logits, fetched[t.Logits])
		if i == 0 {
			out.layers = fetched
		}
	}
	return out, nil
}

func (l *lessons) close() (err error) {
	for _, fetched := range l.all {
		err = errors.Join(err, teacher.CloseAll(fetched))
	}
	return err
}

// mean writes the weighted mean of the teachers' logits for the examples at these positions, in the order of the classes.
func (l *lessons) mean(of *rows.Examples, positions []int, dst []float32) error {
	classes := len(l.orders[0])
	sums, total := make([]float64, len(dst)), 0.0
	for i, lesson := range l.logits {
		weight := 1.0
		if len(l.Weights) > 0 {
			weight = l.Weights[i]
		}
		total += weight
		logits := make([]float32, len(positions)*lesson.Size)
		if err := lesson.Read(of, positions, logits); err != nil {
			return err
		}
		for row := range positions {
			for c, at := range l.orders[i] {
				sums[row*classes+c] += weight * float64(logits[row*lesson.Size+at])
			}
		}
	}
	for i, sum := range sums {
		dst[i] = float32(sum / total)
	}
	return nil
}

// taught are examples with what the teachers tell of them among the targets.
type taught struct {
	train.Examples
	lessons *lessons
	of      *rows.Examples
}

// Read implements train.Examples.
func (t taught) Read(positions []int, into train.Batch) error {
	own := train.Batch{Inputs: into.Inputs, Targets: nn.Batch{}}
	for name, to := range into.Targets {
		layer, compared := t.lessons.guide.layers[name]
		var err error
		switch {
		case name == objective.Teacher:
			err = t.lessons.mean(t.of, positions, to.Float32)
		case compared:
			err = t.lessons.layers[layer].Read(t.of, positions, to.Float32)
		default:
			own.Targets[name] = to
		}
		if err != nil {
			return fmt.Errorf("what the teacher tells: %w", err)
		}
	}
	return t.Examples.Read(positions, own)
}

// teachersOf reads the teachers of a training that has some, and tells how they see the rows.
func (s *Setup) teachersOf(ctx context.Context, task *pipeline.Task, d *rows.Data) (*guide, error) {
	if !s.guided() {
		return nil, nil
	}
	g, err := s.readTeachers(ctx, task, d)
	if err != nil {
		return nil, err
	}
	for _, t := range g.teachers {
		told, err := t.Sees(d)
		if err != nil {
			return nil, err
		}
		if told != "" {
			task.Log("%s", told)
		}
	}
	return g, nil
}
