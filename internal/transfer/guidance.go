package transfer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
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

// checkTeachers refuses losses that compare layers which a teacher does not have, or that do not fit those of the student, as far as
// the networks are known: student is that of the model which is trained, nil if it is not known.
func (g *Guidance) checkTeachers(student *nn.Network, teachers []pipeline.Traits) error {
	if g == nil || !g.Losses.Layers() {
		return nil
	}
	if len(teachers) > 1 {
		return ofOneTeacher(len(teachers))
	}
	for _, traits := range teachers {
		its := classifier.NetworkOf(traits)
		if student == nil || its == nil {
			continue
		}
		trunk := headTakes(student)
		if _, softmax := its.Output().Op.(nn.Softmax); !softmax || trunk == "" {
			continue
		}
		_, _, err := compared(g.Losses, student, trunk, its, its.Output().Inputs[0])
		return err
	}
	return nil
}

// ofOneTeacher refuses layers of several teachers.
func ofOneTeacher(n int) error {
	return pipeline.ParamErrorHint("loss", "take kd or dkd, or one teacher", "layers of %d teachers have no mean: their logits do", n)
}

// headTakes is the layer below the head of a network; "" if it has none.
func headTakes(net *nn.Network) string {
	for _, l := range net.Layers() {
		if head.Contains(l.Name) {
			return l.Inputs[0]
		}
	}
	return ""
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
	told   []string            // about the regressors, for people
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
		return nil, pipeline.ParamErrorHint("teacher_weights", "give one each", "there are %d weights, and the number of teachers is %d", n, len(g.teachers))
	}
	if len(g.teachers) > 1 && g.Losses.Layers() {
		return nil, ofOneTeacher(len(g.teachers))
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
	held, regressors, err := compared(l, s.net, s.trunk, t.Network, t.Logits)
	if err != nil {
		return s, err
	}
	for _, c := range held {
		g.compare(c.student, c.teacher, t)
		g.terms = append(g.terms, c.term)
		if c.told != "" {
			g.told = append(g.told, c.told)
		}
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

// comparison holds what a layer of the student, or a regressor upon it, gives against what one of the teacher gives.
type comparison struct {
	pair
	term objective.Term
	told string // for people; "" if there is nothing to tell
}

// compared are the comparisons of the losses, and the regressors that they need, for a student whose head takes a layer and a teacher
// with its logits. Only layers below these can be compared.
func compared(l teacher.Losses, student *nn.Network, takes string, its *nn.Network, logits string) (held []comparison, regressors []nn.Layer, err error) {
	own, err := student.Cut(takes)
	if err != nil {
		return nil, nil, err
	}
	trunk, err := its.Cut(logits)
	if err != nil {
		return nil, nil, err
	}
	if l.FitNet != nil {
		pairs, err := pairsOf("loss.fitnet", l.FitNet.Layers, own, trunk)
		if err != nil {
			return nil, nil, err
		}
		for i, p := range pairs {
			layers, err := regressor(fmt.Sprintf("%s%d", regressorName, i+1), p, own.Shape(p.student), trunk.Shape(p.teacher))
			if err != nil {
				return nil, nil, err
			}
			regressors = append(regressors, layers...)
			name := layers[len(layers)-1].Name
			a, b := own.Shape(p.student), trunk.Shape(p.teacher)
			held = append(held, comparison{
				pair{name, p.teacher},
				objective.Term{Name: name, Weight: objective.Constant(l.FitNet.Weight), Objective: objective.Hint{Output: name, Target: targetOf(p.teacher)}},
				fmt.Sprintf("fitnet: a regressor of %d parameters brings %s of the student (%s) to the shape of %s of the teacher (%s); it is no part of the model",
					(a.Channels()+1)*b.Channels(), p.student, inWords(a), p.teacher, inWords(b)),
			})
		}
	}
	if l.AT != nil {
		pairs, err := pairsOf("loss.at", l.AT.Layers, own, trunk)
		if err != nil {
			return nil, nil, err
		}
		for i, p := range pairs {
			a, b := own.Shape(p.student), trunk.Shape(p.teacher)
			if len(a) != 3 || len(b) != 3 {
				return nil, nil, pipeline.ParamErrorHint("loss.at.layers", "name layers that give maps",
					"the student's layer %q gives %s, and the teacher's %q %s: attention is of maps", p.student, inWords(a), p.teacher, inWords(b))
			}
			held = append(held, comparison{pair: p, term: objective.Term{Name: fmt.Sprintf("at%d", i+1), Weight: objective.Constant(l.AT.Weight),
				Objective: objective.Attention{Output: p.student, Target: targetOf(p.teacher), Of: b}}})
		}
	}
	if l.RKD != nil {
		p := pair{l.RKD.Student, l.RKD.Teacher}
		if p.student == "" {
			p.student = takes
		}
		if p.teacher == "" {
			if p.teacher = headTakes(its); p.teacher == "" {
				return nil, nil, pipeline.ParamErrorHint("loss.rkd", "loss: {rkd: {teacher: LAYER}}; it has: "+strings.Join(trunk.Scopes(), ", "), "the teacher has no head of its own: its layer has to be named")
			}
		}
		if p, err = p.in("loss.rkd.student", "loss.rkd.teacher", own, trunk); err != nil {
			return nil, nil, err
		}
		held = append(held, comparison{pair: p, term: objective.Term{Name: "rkd", Objective: objective.Relation{
			Output: p.student, Target: targetOf(p.teacher), Of: trunk.Shape(p.teacher), Distance: l.RKD.Distance, Angle: l.RKD.Angle,
		}}})
	}
	return held, regressors, nil
}

// inWords writes a shape for people.
func inWords(s nn.Shape) string {
	switch len(s) {
	case 1:
		return fmt.Sprintf("%d numbers", s[0])
	case 3:
		return fmt.Sprintf("maps of %d×%d×%d", s[0], s[1], s[2])
	}
	return fmt.Sprint(s)
}

// pair is a layer of the student and one of the teacher.
type pair struct{ student, teacher string }

// in finds the layers that the names stand for. Errors are of the parameters at the paths.
func (p pair) in(ofStudent, ofTeacher string, student, its *nn.Network) (pair, error) {
	own, ok := student.Find(p.student)
	if !ok {
		return p, pipeline.ParamErrorHint(ofStudent, params.DidYouMean(p.student, student.Scopes()), "the student has no layer %q below its head", p.student)
	}
	other, ok := its.Find(p.teacher)
	if !ok {
		return p, pipeline.ParamErrorHint(ofTeacher, params.DidYouMean(p.teacher, its.Scopes()), "the teacher has no layer %q", p.teacher)
	}
	return pair{own.Name, other.Name}, nil
}

// pairsOf are the pairs of layers of a loss, which stands at a path, in order; the last maps if none is named.
func pairsOf(path string, layers map[string]string, student, its *nn.Network) (pairs []pair, err error) {
	if len(layers) == 0 {
		var p pair
		if p.student, err = teacher.LastMap(student); err != nil {
			return nil, pipeline.ParamErrorHint(path, "take kd, or name layers: {layers: {STUDENT: TEACHER}}", "the student has no layer that gives maps")
		}
		if p.teacher, err = teacher.LastMap(its); err != nil {
			return nil, pipeline.ParamErrorHint(path, "take kd, or name layers: {layers: {STUDENT: TEACHER}}", "the teacher has no layer that gives maps")
		}
		return []pair{p}, nil
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(layers)) {
		p, err := pair{name, layers[name]}.in(path+".layers", path+".layers."+name, student, its)
		pairs, errs = append(pairs, p), append(errs, err)
	}
	return pairs, errors.Join(errs...)
}

// regressorName is what the names of regressors begin with.
const regressorName = head.Scope + ".hint"

// isRegressor tells whether a layer is trained beside the student and is no part of it.
func isRegressor(layer string) bool { return strings.HasPrefix(layer, regressorName) }

// regressor are the layers that bring what the student's layer gives to the teacher's shape: a dense layer; or, for maps, a convolution
// of 1×1 upon their means in windows if they are larger. FitNets has a convolution whose window is as large as it takes, which for maps of
// very different sizes has more parameters than the student.
func regressor(name string, p pair, own, its nn.Shape) ([]nn.Layer, error) {
	const param, hint = "loss.fitnet.layers", "name a lower layer of the student, or a higher one of the teacher"
	switch {
	case len(own) == 1 && len(its) == 1:
		return []nn.Layer{{Name: name, Inputs: []string{p.student}, Op: nn.Dense{Out: its[0], Bias: true}}}, nil
	case len(own) != 3 || len(its) != 3:
		return nil, pipeline.ParamErrorHint(param, "name two layers that give maps, or two that give numbers", "the student's layer %q gives %s, and the teacher's %q %s", p.student, inWords(own), p.teacher, inWords(its))
	case own[0] < its[0] || own[1] < its[1]:
		return nil, pipeline.ParamErrorHint(param, hint, "the student's layer %q gives %s, smaller than the teacher's %q with %s", p.student, inWords(own), p.teacher, inWords(its))
	}
	var out []nn.Layer
	from := p.student
	if own[0] != its[0] || own[1] != its[1] {
		stride := nn.Pair{own[0] / its[0], own[1] / its[1]}
		window := nn.Pair{own[0] - (its[0]-1)*stride[0], own[1] - (its[1]-1)*stride[1]}
		from = name + "_pool"
		out = append(out, nn.Layer{Name: from, Inputs: []string{p.student}, Op: nn.AveragePool{Kernel: window, Stride: stride}})
	}
	return append(out, nn.Layer{Name: name, Inputs: []string{from}, Op: nn.Conv{Out: its[2], Kernel: nn.Pair{1, 1}, Bias: true}}), nil
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

// CheckTeachers refuses, before anything is trained, teachers and rows that do not go together.
func (s *Setup) CheckTeachers(ctx context.Context, task *pipeline.Task) (err error) {
	in := task.Input(DataPort)
	schema, err := in.Schema(ctx)
	if err != nil || schema == nil {
		return err
	}
	d, err := rows.Read(ctx, in, schema, string(s.Target), rows.Options{Unlabelled: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	g, err := s.readTeachers(ctx, task, d)
	if err != nil {
		return err
	}
	for _, t := range g.teachers {
		if _, err := t.Order(d.Classes); err != nil {
			return err
		}
	}
	if n := len(d.Classes); g.Losses.DKD != nil && n < leastOfDKD {
		return pipeline.ParamErrorHint("loss", "take kd", "dkd compares the classes other than the right one: it needs %d classes, and there are %d", leastOfDKD, n)
	}
	return nil
}

// leastOfDKD is how many classes dkd needs, so that there are several beside the right one.
const leastOfDKD = 3

// classesOfFirst are those of the first teacher, in its order, by what its table says of itself.
func classesOfFirst(ctx context.Context, inputs map[string][]pipeline.Input) ([]string, error) {
	if len(inputs[TeacherPort]) == 0 {
		return nil, errors.New("there is no teacher")
	}
	in := inputs[TeacherPort][0]
	schema, err := in.Schema(ctx)
	if err != nil {
		return nil, err
	}
	text, ok := "", false
	if schema != nil {
		text, ok = schema.Metadata().GetValue(record.DescriptionKey)
	}
	if !ok {
		c, err := classifier.Read(ctx, in)
		if err != nil {
			return nil, err
		}
		return c.Head().Classes, nil
	}
	d, err := record.ParseDescription(text)
	if err != nil || len(d.Heads) == 0 {
		return nil, errors.Join(err, fmt.Errorf("teacher %s tells no classes", in.Name()))
	}
	return d.Heads[0].Classes, nil
}

// aloneRecipe is the recipe of a phase of a student without its teachers, whose classes it has.
type aloneRecipe struct {
	phaseRecipe
	Classes []string `yaml:"classes"`
}

// teachersOf reads the teachers of a training that has some, and tells how they see the rows. A student that is trained alone has the
// classes of the first of them, in its order, as the distilled one.
func (s *Setup) teachersOf(ctx context.Context, task *pipeline.Task, d *rows.Data) (*guide, error) {
	if s.guidance != nil && s.guidance.alone && task.Input(ModelPort) == nil {
		t, err := teacher.Read(ctx, task.Inputs[TeacherPort][0])
		if err != nil {
			return nil, err
		}
		if err := d.Renumber(t.Head); err != nil {
			return nil, fmt.Errorf("teacher %s: %w", t.Name, err)
		}
		return nil, nil
	}
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
