package adapt

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/domain/method"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// ofSteps are the parameters that are for trainings by gradient descent alone.
func ofSteps() []string {
	return []string{
		"epochs", "least_steps", "learning_rate", "batch_size", "optimiser", "momentum", "nesterov", "l2", "weight_decay", "clip_norm", "schedule", "warm_up",
		"class_weights", "label_smoothing", "average", "precision", "restore", "network", "standardise", "strategy", "prefix_cache", "prefix_precision",
	}
}

// withoutEffect refuses parameters that are given and that nothing takes, as far as the parameters themselves show it. Where others
// would take them, such as another method of a matrix, they are idle.
func (p Params) withoutEffect() (errs, unused []error) {
	refuse := func(wrong bool, path, hint, format string, args ...any) {
		if wrong {
			errs = append(errs, pipeline.ParamErrorHint(path, hint, format, args...))
		}
	}
	idle := func(wrong bool, path, hint, format string, args ...any) {
		if wrong {
			unused = append(unused, pipeline.ParamIdle(path, hint, format, args...))
		}
	}
	idle(p.Select.given && p.Select.By == none, "select.over", "name a validator, such as by: im, or leave over out", "has no effect: with by: none nothing is chosen")
	refuse(p.Select.empty && p.Select.By != none, "select.over", "such as [method, epoch]; or write select: none", "is empty: %s would choose nothing", p.Select.By)
	refuse(p.Select.given && !p.Select.empty && p.Select.By == ensemble && p.Select.chooses(overEpoch), "select.over",
		"leave epoch out, or take one validator, such as by: im", "ensemble does not choose the epoch: it takes the last")
	if p.closed() {
		for _, name := range ofSteps() {
			idle(p.given[name], name, "leave it out, or list a method that learns by gradient descent, such as dann",
				"has no effect: methods in closed form, and direct beside them, have no steps")
		}
		idle(p.Select.By != none && !p.Select.chooses(overMethod), "select", "add method to over, or leave select out",
			"has no effect: methods in closed form have no epochs and no learning rates to choose from")
	}
	if !slices.ContainsFunc(p.Method, func(m method.Method) bool { return m.Is().Closed }) && len(p.Method) > 0 {
		idle(p.given["head"], "head", "leave it out; network describes what learns by gradient descent",
			"has no effect: it is the classifier of methods in closed form, such as coral, and none is listed")
	}
	if p.Backbone == "" {
		for _, name := range []string{"weights", "random_seed"} {
			idle(p.given[name], name, "leave it out", "has no effect: it is for images with a backbone, and there is no backbone")
		}
	} else {
		refuse(p.given["standardise"] && p.Standardise, "standardise", "leave it out", "is for features: images are normalised as the weights of the backbone require")
	}
	if !p.closed() {
		idle(p.Select.By != none && len(p.Select.Over) == 1 && p.Select.chooses(overRate) && len(p.LearningRate) < 2, "select.over",
			"list several under learning_rate, or add method or epoch", "has no effect: there are no several learning rates to choose from")
		idle(p.given["restore"] && p.Restore == "best" && p.by() == "", "restore", "select: {by: im, over: [epoch]} chooses the epoch",
			"has no effect: without a choice of the epoch the last one is taken")
		refuse(p.given["restore"] && p.Restore == "last" && p.by() != "", "restore", "leave it out, or leave epoch out of select.over",
			"contradicts select, which chooses the epoch by %s", p.by())
	}
	if p.Network != nil && len(p.Network.Hidden) == 0 && p.Backbone == "" {
		for i, m := range p.Method {
			refuse(slices.Contains([]string{method.DeepCoral, method.MMD, method.DANN, method.CDAN}, m.Kind) || m.Kind == method.SHOT && len(p.Network.Task) == 0, "network", "such as hidden: [64, 32]",
				"has no hidden layers: %s would have nothing to learn below the features", p.methodAt(i)+" "+m.Kind)
		}
	}
	if p.Head.Kind == "knn" && p.closed() {
		const hint, votes = "take head: logistic", "a nearest-neighbour classifier has no class frequencies to correct"
		refuse(p.PriorShift != none, "prior_shift", hint, votes)
		for i, m := range p.Method {
			refuse(m.Kind == method.PriorShift, p.methodAt(i), hint, votes)
		}
	}
	refuse(p.given["mix_probability"], "mix_probability", "leave it out", "has no effect: rows of two domains are not mixed")
	if p.PriorShift != none {
		for i, m := range p.Method {
			if m.Kind != method.PriorShift {
				continue
			}
			refuse(m.Estimate != p.PriorShift, "prior_shift", fmt.Sprintf("leave it out, or write method: {kind: prior_shift, estimate: %s}", p.PriorShift),
				"contradicts %s, which estimates by %s; prior_shift is for the other methods", p.methodAt(i), m.Estimate)
			idle(m.Estimate == p.PriorShift && len(p.Method) == 1, "prior_shift", "leave it out", "has no effect: the method prior_shift corrects the model already")
		}
	}
	return errs, unused
}

// continues refuses what has no effect, or cannot be, where the training starts from an input model.
func (s *stage) continues(connected bool) error {
	if !connected {
		return nil
	}
	var errs []error
	for i, m := range s.Method {
		switch {
		case m.Is().Closed:
			errs = append(errs, pipeline.ParamErrorHint(s.methodAt(i), "leave the input model out, or take a method that learns by gradient descent, such as shot",
				"%s is computed in closed form and cannot start from the input model", m.Kind))
		case m.Kind == method.DANN || m.Kind == method.CDAN:
			errs = append(errs, pipeline.ParamErrorHint(s.methodAt(i), "leave the input model out, or take mmd, deep_coral, mcc, shot or another without a discriminator",
				"%s needs a discriminator, which the input model does not have", m.Kind))
		}
	}
	for _, name := range []string{"network", "standardise"} {
		if s.given[name] {
			errs = append(errs, pipeline.ParamErrorHint(name, "leave it out", "has no effect: the network is that of the input model"))
		}
	}
	return errors.Join(errs...)
}

// onFeatures refuses parameters that are for images where the rows are features.
func (s *stage) onFeatures(source []pipeline.Traits, continues bool) error {
	if len(source) == 0 || s.Backbone != "" { // a backbone on features is refused by the training
		return nil
	}
	_, prepared := source[0][record.PreprocessingKey]
	if _, features := source[0][record.ExtractionKey]; prepared && !features {
		return nil
	}
	var errs []error
	for _, name := range []string{"strategy", "prefix_cache", "prefix_precision"} {
		if s.given[name] {
			errs = append(errs, pipeline.ParamErrorHint(name, "leave it out, or give the stage images and a backbone", "has no effect: on features there are no frozen layers"))
		}
	}
	return errors.Join(errs...)
}
