package shallow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// Kinds are the classifiers that there are. A new one is a file, and its line here.
func Kinds() []Kind {
	return []Kind{
		logistic(),
		ridge(),
		lda(),
		centroid(),
		knn(),
	}
}

// Kind is a sort of classifier.
type Kind struct {
	Name    string
	Summary string   // what it is, for people
	Takes   []string // the settings that it has, by their names in YAML
	fit     func(context.Context, *task) (*Classifier, []Step, error)
}

// Settings are what may be said of classifiers; each kind takes some of them.
type Settings struct {
	Penalties []float64 `yaml:"penalties" above:"0" doc:"of logistic and ridge: the candidates for λ, the factor of the squared weights relative to the sum of the losses (1/C or alpha in scikit-learn); 1e4 to 1e-4 if not given, for ridge 1e6 to 1e-4"`
	Shrinkage *float64  `yaml:"shrinkage" min:"0" max:"1" doc:"of lda: shrinkage of the covariance towards a multiple of the identity; by Ledoit and Wolf's formula if not given"`
	Metric    string    `yaml:"metric" enum:"euclidean,cosine" doc:"of centroid and knn: the distance; euclidean if not given"`
	K         []int     `yaml:"k" min:"1" doc:"of knn: the candidates for the number of neighbours; 1, 3, 5, 10, 20 and 50 if not given"`
	Weighted  bool      `yaml:"weighted" doc:"of knn: weight votes by 1/distance"`
}

// Given names the settings that are given.
func (s Settings) Given() (names []string) {
	for _, setting := range []struct {
		name  string
		given bool
	}{{"penalties", len(s.Penalties) > 0}, {"shrinkage", s.Shrinkage != nil}, {"metric", s.Metric != ""}, {"k", len(s.K) > 0}, {"weighted", s.Weighted}} {
		if setting.given {
			names = append(names, setting.name)
		}
	}
	return names
}

// Words for metrics.
const (
	euclidean = "euclidean"
	cosine    = "cosine"
)

// Find returns the kind of that name.
func Find(name string) (Kind, bool) {
	kinds := Kinds()
	at := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == name })
	if at < 0 {
		return Kind{}, false
	}
	return kinds[at], true
}

// Names are those of all kinds.
func Names() (names []string) {
	for _, k := range Kinds() {
		names = append(names, k.Name)
	}
	return names
}

// Describe tells of all kinds, for people.
func Describe() string {
	var parts []string
	for _, k := range Kinds() {
		parts = append(parts, k.Name+" ("+k.Summary+")")
	}
	return strings.Join(parts, ", ")
}

// Options are the settings of a fit.
type Options struct {
	Settings
	Folds  int   // of cross-validation; 0: 5
	Groups []int // of the training rows: rows of one group are in one fold; nil: each row by itself

	// Standardise fits on features shifted and scaled to mean 0 and variance 1 over the training rows, so that the penalty,
	// or the distance, treats them alike. What is returned takes the features as they are.
	Standardise bool

	Tolerance  float64 // of logistic, on the largest element of the gradient of the mean loss; 0: 1e-6
	Iterations int     // of logistic, at most, of each fit; 0: 1000
	Threads    int
}

// Step is a candidate that was tried.
type Step struct {
	Setting    string  // what it is a value of, such as penalty; "" where there was nothing to choose
	Value      float64 // of the setting
	Loss       float64 // mean log loss on the rows that it was judged by; NaN if none judged it, or it gives no probabilities
	Accuracy   float64 // on these
	Iterations int
	Chosen     bool
}

// String names the candidate.
func (s Step) String() string {
	if s.Setting == "" {
		return "fit"
	}
	return fmt.Sprintf("%s %.3g", s.Setting, s.Value)
}

// Fit fits a classifier to training rows. Where there is something to choose, the validation rows choose it or, without any,
// cross-validation on the training rows does. The steps tell what was tried.
func (k Kind) Fit(ctx context.Context, training, validation Rows, classes int, o Options) (*Classifier, []Step, error) {
	t, err := newTask(training, validation, classes, o)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", k.Name, err)
	}
	defer t.pool.Close()
	c, steps, err := k.fit(ctx, t)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", k.Name, err)
	}
	return c, steps, nil
}

// task is a fit in progress.
type task struct {
	training, validation Rows
	classes              int
	Options
	pool *kernel.Pool
}

func newTask(training, validation Rows, classes int, o Options) (*task, error) {
	if err := training.check(classes); err != nil {
		return nil, err
	}
	if validation.Len() > 0 {
		if err := validation.check(classes); err != nil {
			return nil, fmt.Errorf("validation rows: %w", err)
		}
		if validation.Width != training.Width {
			return nil, fmt.Errorf("validation rows have %d features, training rows %d", validation.Width, training.Width)
		}
	}
	if classes < 2 || training.Len() == 0 {
		return nil, fmt.Errorf("%d rows of %d classes", training.Len(), classes)
	}
	if o.Groups != nil && len(o.Groups) != training.Len() {
		return nil, errors.New("the groups are not those of the training rows")
	}
	return &task{training: training, validation: validation, classes: classes, Options: o, pool: kernel.NewPool(max(o.Threads, 1))}, nil
}
