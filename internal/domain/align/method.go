package align

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/domain"
	"github.com/tlpipe/tlpipe/internal/kernel"
)

// Methods are the alignments that there are. A new one is a file, and its line here.
func Methods() []Method {
	return []Method{
		coral(),
		subspace(),
		tca(),
		jda(),
	}
}

// Find returns the method of that name.
func Find(name string) (Method, bool) {
	methods := Methods()
	at := slices.IndexFunc(methods, func(m Method) bool { return m.Name == name })
	if at < 0 {
		return Method{}, false
	}
	return methods[at], true
}

// Method is a way to align.
type Method struct {
	Name    string
	Summary string   // what it does, for people
	Takes   []string // the settings that it has, by their names in YAML
	Labels  bool     // it uses the classes of the source
	fit     func(context.Context, *task) (domain.Alignment, error)
}

// Settings are what may be said of alignments; each method takes some of them. What is 0 has its default.
type Settings struct {
	// Penalty is λ: of coral, what is added to the variances, 1 if not given; of tca and jda, the weight of the squared
	// weights, 1 if not given.
	Penalty    float64 `yaml:"penalty" min:"0" doc:"of coral: what is added to the variances; of tca and jda: the factor of the squared weights; 1 if not given"`
	Components int     `yaml:"components" min:"0" doc:"of subspace, tca and jda: the dimensions of the common space; 20, of jda 100 if not given, and never more than there are"`
	Rounds     int     `yaml:"rounds" min:"0" doc:"of jda: how often the target is labelled anew; 10 if not given"`
	// Raw takes features as they are. Otherwise each domain's are first brought to mean 0 and variance 1 over its own rows, as the
	// authors' programs do before they align; the maps that are returned include it.
	Raw bool `yaml:"raw" doc:"align features as they are, not brought to mean 0 and variance 1 over each domain's rows"`
}

// Options are the settings of a fit.
type Options struct {
	Settings
	// Label gives the target's rows classes, from the source's rows and their classes, both mapped. Nil: the class of the
	// nearest source row.
	Label   func(ctx context.Context, source domain.Labelled, target domain.Features) ([]int, error)
	Threads int
}

// Fit aligns. Both domains have at least two rows, all finite, of one width. The classes of the source are used by jda alone.
func (m Method) Fit(ctx context.Context, source domain.Labelled, target domain.Features, o Options) (domain.Alignment, error) {
	wrong := func(err error) (domain.Alignment, error) {
		return domain.Alignment{}, fmt.Errorf("%s: %w", m.Name, err)
	}
	for _, f := range []struct {
		name string
		domain.Features
	}{{"source", source.Features}, {"target", target}} {
		if err := f.Check(); err != nil {
			return wrong(fmt.Errorf("%s: %w", f.name, err))
		}
		if f.Rows() < 2 {
			return wrong(fmt.Errorf("%s: %d rows; at least 2", f.name, f.Rows()))
		}
		if at := notFinite(f.Features); at >= 0 {
			return wrong(fmt.Errorf("%s: row %d has a feature that is not a finite number", f.name, at))
		}
	}
	if source.Width != target.Width {
		return wrong(fmt.Errorf("rows of the source have %d features, of the target %d", source.Width, target.Width))
	}
	if m.Labels && len(source.Classes) != source.Rows() {
		return wrong(errors.New("the classes are not those of the source's rows"))
	}
	if o.Penalty < 0 || o.Components < 0 || o.Rounds < 0 {
		return wrong(errors.New("settings are not below 0"))
	}
	pool := kernel.NewPool(max(o.Threads, 1))
	defer pool.Close()
	if o.Raw {
		a, err := m.fit(ctx, &task{source: source, target: target, Options: o, pool: pool})
		if err != nil {
			return wrong(err)
		}
		return a, nil
	}
	own, other := standardise(pool, source.Features), standardise(pool, target)
	source.Features, target = own.apply(pool, source.Features), other.apply(pool, target)
	a, err := m.fit(ctx, &task{source: source, target: target, Options: o, pool: pool})
	if err != nil {
		return wrong(err)
	}
	a.Source, a.Target = own.before(a.Source), other.before(a.Target)
	return a, nil
}

// task is a fit in progress.
type task struct {
	source domain.Labelled
	target domain.Features
	Options
	pool *kernel.Pool
}

func notFinite(f domain.Features) int {
	for i, v := range f.Values {
		if v-v != 0 {
			return i / f.Width
		}
	}
	return -1
}

func orDefault[T int | float64](value, otherwise T) T {
	if value == 0 {
		return otherwise
	}
	return value
}
