package retrieval

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/retrieval"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Params are the parameters of the stage.
type Params struct {
	By        string `yaml:"by" doc:"the column that tells which rows belong together: those with equal values; with a gallery, both tables have it"`
	Without   string `yaml:"without" doc:"without a gallery: leave out rows that have the same value as the query in this column, such as other pictures of its object; the query itself is always left out"`
	Split     string `yaml:"split" enum:"train,val,test" doc:"the split of queries and gallery"`
	At        []int  `yaml:"at" min:"1" max:"100000" doc:"the numbers k of recall at k"`
	Shown     int    `yaml:"shown" min:"1" max:"1000" doc:"how many of the most similar rows the output answers lists for each query; hubness counts them"`
	Resamples int    `yaml:"bootstrap" min:"0" max:"100000" doc:"of the bootstrap that gives 95 % intervals, over groups of rows that belong together; 0: none"`
}

// Kind declares the stage.
func Kind() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "retrieval",
		Summary: "measure search: how well rows find those that belong to them by the similarity of features",
		Doc: "Each row of the split is a query, and all rows of the split are ranked by the cosine of their features with it. With one table, " +
			"the rows of the same class, or with the same value of `by`, are to be found: a measure of features for search, and of metric learning " +
			"if the classes are new (`split: {classes: …}` in preprocess). With two tables, `from: {data: pictures, gallery: texts}`, " +
			"rows of one find those of the other that have the same value of `by`, in both directions. Recall at k is the share of the queries with a " +
			"right row among the first k. Rows that are equally similar count against the answer.",
		Example: `found:
  uses: retrieval
  from: features
  with: {by: label}
`,
		Version: 2,
		Seeded:  true,
		Inputs: []pipeline.Port{
			{Name: dataPort, Kind: pipeline.Features, Many: true, Doc: "features with splits; several tables are compared"},
			{Name: galleryPort, Kind: pipeline.Features, Many: true, Optional: true, Doc: "the rows to be found, if they are of another table; one for each table of data"},
		},
		Outputs: []pipeline.Port{
			{Name: "metrics", Kind: pipeline.Metrics, Doc: "recall at k with what chance would give, median rank, mean reciprocal rank, mean average precision, nDCG, hubness; rows counts the queries"},
			{Name: "answers", Kind: pipeline.Metrics, Doc: "each query with the rank of the first right row and the most similar rows"},
		},
	}, Params{By: record.Label, Split: record.Test, At: []int{1, 5, 10}, Shown: 10, Resamples: 1000}, build)
}

const (
	dataPort    = "data"
	galleryPort = "gallery"
)

type stage struct{ Params }

func build(p Params) (pipeline.Stage, error) {
	var errs []error
	if len(p.At) == 0 {
		errs = append(errs, pipeline.ParamError("at", "name one number or more"))
	}
	for i, k := range p.At {
		if slices.Contains(p.At[:i], k) {
			errs = append(errs, pipeline.ParamError(fmt.Sprintf("at[%d]", i), "%d is listed twice", k))
		}
	}
	if p.By == "" {
		errs = append(errs, pipeline.ParamErrorHint("by", "such as label", "name a column"))
	}
	if p.By == p.Without {
		errs = append(errs, pipeline.ParamErrorHint("without", "name another column", "all rows that %s says belong to a query would be left out", p.By))
	}
	return stage{p}, errors.Join(errs...)
}

// Check implements pipeline.Stage.
func (s stage) Check(inputs map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	data, galleries := len(inputs[dataPort]), len(inputs[galleryPort])
	switch {
	case galleries > 0 && galleries != data:
		return nil, fmt.Errorf("there are %d tables of data and %d galleries: each table needs its own", data, galleries)
	case galleries > 0 && s.Without != "":
		return nil, pipeline.ParamErrorHint("without", "leave it out", "is for one table: with a gallery, no row of it is the query")
	}
	return nil, nil
}

// Demands implements pipeline.Demanding.
func (s stage) Demands() []pipeline.Demand {
	return []pipeline.Demand{{Port: dataPort, Split: s.Split, Why: "they are what is looked for with"}}
}

// Numerics implements pipeline.Numeric.
func (stage) Numerics() string { return kernel.Numerics() }

// Answer is how a query was answered: a row of the port answers.
type Answer struct {
	Search           string  `column:"search"` // the tables
	ID               string  `column:"id"`     // of the query
	By               string  `column:"by"`     // what it has in common with the rows to be found
	Rank             int64   `column:"rank"`   // of the first right row
	Relevant         int64   `column:"relevant"`
	AveragePrecision float64 `column:"average_precision"`
	Position         int64   `column:"position"` // of a found row, from 1: there is a line for each
	Found            string  `column:"found"`    // its id
	FoundBy          string  `column:"found_by"`
	Similarity       float64 `column:"similarity"` // cosine
	Right            bool    `column:"right"`
}

// direction is one table that looks for rows of another, or of itself.
type direction struct {
	name, chance     string // of its answers, and of those of chance
	queries, gallery *table
	within           bool
}

// Run implements pipeline.WholeTable.
func (s stage) Run(ctx context.Context, task *pipeline.Task) error {
	var measured []record.Metric
	var answers []Answer
	for i, in := range task.Inputs[dataPort] {
		data, err := s.read(ctx, in)
		if err != nil {
			return err
		}
		directions := []direction{{in.Name(), "chance", data, data, true}}
		if galleries := task.Inputs[galleryPort]; len(galleries) > 0 {
			gallery, err := s.read(ctx, galleries[i])
			if err != nil {
				return err
			}
			if data.width != gallery.width {
				return fmt.Errorf("%s has %d features and %s %d: they are not in one space; the stage contrastive brings two tables into one", in.Name(), data.width, galleries[i].Name(), gallery.width)
			}
			there, back := between(in.Name(), galleries[i].Name()), between(galleries[i].Name(), in.Name())
			to, from := bare(in.Name()), bare(galleries[i].Name())
			directions = []direction{
				{there, "chance, " + to + " → " + from, data, gallery, false},
				{back, "chance, " + from + " → " + to, gallery, data, false},
			}
		}
		for _, d := range directions {
			m, a, err := s.measure(ctx, task, d)
			if err != nil {
				return fmt.Errorf("%s: %w", d.name, err)
			}
			measured, answers = append(measured, m...), append(answers, a...)
		}
	}
	measured = withoutRepeats(measured)
	about := record.Evaluation{Split: s.Split, Resamples: s.Resamples, Cluster: s.By}.Encode()
	return errors.Join(task.WriteRecord("metrics", record.Evaluated(measured, about)), task.WriteRecord("answers", record.Evaluated(answers, about)))
}

// between names a search of one table's rows among another's. Instances of a matrix with the same values have these once.
func between(from, to string) string {
	if base, values, _ := strings.Cut(from, "["); values != "" && strings.HasSuffix(to, "["+values) {
		from = base
	}
	return from + " → " + to
}

// bare is the name of a stage without the values of its matrix.
func bare(name string) string {
	base, _, _ := strings.Cut(name, "[")
	return base
}

// withoutRepeats leaves out lines that stand there already: chance is the same for all tables of the same rows. Where it is not, each
// is named by its number.
func withoutRepeats(lines []record.Metric) (out []record.Metric) {
	type key struct{ model, metric string }
	seen := map[key][]record.Metric{}
	for _, line := range lines {
		k := key{line.Model, line.Metric}
		same := func(m record.Metric) bool { return m.Value == line.Value && m.Rows == line.Rows }
		if line.Role == record.BaselineRole {
			if slices.ContainsFunc(seen[k], same) {
				continue
			}
			seen[k] = append(seen[k], line)
			if n := len(seen[k]); n > 1 {
				line.Model = fmt.Sprintf("%s (%d)", line.Model, n)
			}
		}
		out = append(out, line)
	}
	return out
}

// measure lets one table look for rows of another.
func (s stage) measure(ctx context.Context, task *pipeline.Task, d direction) ([]record.Metric, []Answer, error) {
	keys := map[string]int{}
	queries, gallery := d.queries.rows(keys, d.within), d.gallery.rows(keys, d.within)
	found, err := retrieval.Search(ctx, queries, gallery, d.queries.width, s.Shown, task.Threads)
	if err != nil {
		return nil, nil, err
	}
	asked := 0
	for _, a := range found {
		if a.Asked() {
			asked++
		}
	}
	if asked == 0 {
		return nil, nil, fmt.Errorf("no query of split %s has a row that belongs to it by %s", s.Split, s.By)
	}
	numbers := func(weights []float64) []float64 {
		m := retrieval.Sum(found, weights, s.At)
		return append(m.Recall, m.MedianRank, m.ReciprocalRank, m.MeanAveragePrecision, m.Gain)
	}
	// Queries that look for the same rows are right or wrong together.
	bootstrap := metrics.Bootstrap{Seed: task.Seed, Resamples: s.Resamples, Rows: queries.Len(), Clusters: clusters(queries.Keys)}
	intervals, err := bootstrap.Intervals(ctx, task.Threads, numbers)
	if err != nil {
		return nil, nil, err
	}
	var names []string
	for _, k := range s.At {
		names = append(names, fmt.Sprintf(record.RecallAt, k))
	}
	names = append(names, record.MedianRank, record.ReciprocalRank, record.MeanAveragePrecision, record.NDCG)
	var out []record.Metric
	add := func(model, role, name string, value float64, interval metrics.Interval) {
		out = append(out, record.Metric{Model: model, Role: role, Metric: name, Value: value, Low: interval.Low, High: interval.High, Rows: int64(asked)})
	}
	for i, value := range numbers(nil) {
		interval := metrics.NoInterval()
		if intervals != nil {
			interval = intervals[i]
		}
		add(d.name, record.ModelRole, names[i], value, interval)
	}
	add(d.name, record.ModelRole, record.Hubness, retrieval.Hubness(found, gallery.Len()), metrics.NoInterval())
	for i, k := range s.At {
		var chance float64
		for _, a := range found {
			if a.Asked() {
				chance += a.Chance(k) / float64(asked)
			}
		}
		add(d.chance, record.BaselineRole, names[i], chance, metrics.NoInterval())
	}
	return out, s.answers(d, found), nil
}

// answers are what the output lists.
func (s stage) answers(d direction, found []retrieval.Answer) (out []Answer) {
	for i, a := range found {
		if !a.Asked() {
			continue
		}
		for position, f := range a.Found {
			out = append(out, Answer{
				Search: d.name, ID: d.queries.ids[i], By: d.queries.by[i], Rank: int64(a.First), Relevant: int64(a.Relevant), AveragePrecision: a.AveragePrecision,
				Position: int64(position + 1), Found: d.gallery.ids[f.Row], FoundBy: d.gallery.by[f.Row], Similarity: f.Similarity, Right: d.gallery.by[f.Row] == d.queries.by[i],
			})
		}
	}
	return out
}

// clusters numbers the keys without gaps.
func clusters(keys []int) []int {
	numbers := map[int]int{}
	out := make([]int, len(keys))
	for i, k := range keys {
		n, ok := numbers[k]
		if !ok {
			n = len(numbers)
			numbers[k] = n
		}
		out[i] = n
	}
	return out
}
