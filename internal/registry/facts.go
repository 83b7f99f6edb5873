package registry

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/tlpipe/tlpipe/internal/record"
)

// Facts are what is known of a version. Nothing in them is estimated: what is not known is left out.
type Facts struct {
	Name   string    `json:"name"`
	Number int       `json:"version"`
	Added  time.Time `json:"added"`
	File   string    `json:"file"`   // beside the facts
	SHA256 string    `json:"sha256"` // of the file, hexadecimal
	Bytes  int64     `json:"bytes"`

	Program    string `json:"program,omitempty"`  // the version of tlpipe that added it
	Pipeline   string `json:"pipeline,omitempty"` // name of the pipeline that made it
	Stage      string `json:"stage,omitempty"`
	Model      string `json:"model,omitempty"` // digest of the model's table in the cache
	Parameters int64  `json:"parameters"`

	// Description is what the model says of itself: inputs, heads, origins of its weights, recipe, selection.
	Description record.Description `json:"description"`
	// Data is the digest of each input that it was trained on, by port.
	Data map[string]string `json:"data,omitempty"`
	// Splits are the rows of each split and class of the data, if they are at hand.
	Splits []Split `json:"splits,omitempty"`
	// Measured is what evaluations in the pipeline say of it.
	Measured []Measurement `json:"measured,omitempty"`
}

// Split is how many rows of a split there are, by class.
type Split struct {
	Name    string           `json:"name"`
	Rows    int64            `json:"rows"`
	Classes map[string]int64 `json:"classes,omitempty"`
}

// Measurement is what one evaluation measured.
type Measurement struct {
	Stage   string   `json:"stage"`
	Task    string   `json:"task,omitempty"` // that was measured, where the stage names one
	Split   string   `json:"split,omitempty"`
	Cluster string   `json:"cluster,omitempty"` // the column whose equal values the intervals draw together
	Metrics []Metric `json:"metrics"`
}

// Metric is one number.
type Metric struct {
	Name     string   `json:"name"`            // as in the metrics table, such as "accuracy"
	Class    string   `json:"class,omitempty"` // "" for all together
	Slice    string   `json:"slice,omitempty"` // "column=value"
	Baseline string   `json:"baseline,omitempty"`
	Value    float64  `json:"value"`
	Low      *float64 `json:"low,omitempty"` // 95 % interval
	High     *float64 `json:"high,omitempty"`
	Rows     int64    `json:"rows"`
}

// Headline are the metrics of the model itself over all classes and rows.
func (m Measurement) Headline() []Metric {
	var out []Metric
	for _, x := range m.Metrics {
		if x.Class == "" && x.Slice == "" && x.Baseline == "" {
			out = append(out, x)
		}
	}
	return out
}

// Licence tells the licences of the weights that it was made with and of those of its teachers, each once, and whether all are
// known. Weights that are trained further stay under the licence they came with.
func (f Facts) Licence() (licences []string, known bool) { return f.Description.Licences() }

// Change is something that two versions differ in. "" stands for what one of them does not have.
type Change struct {
	What string `json:"what"` // such as "recipe params.epochs" or "test accuracy"
	From string `json:"from"`
	To   string `json:"to"`
}

// Compare lists what b differs in from a: recipe, data, licences, size, metrics.
func Compare(a, b Facts) []Change {
	var out []Change
	add := func(what, from, to string) {
		if from != to {
			out = append(out, Change{what, from, to})
		}
	}
	add("pipeline", a.Pipeline, b.Pipeline)
	add("stage", a.Stage, b.Stage)
	compareMaps(recipe(a), recipe(b), func(name, from, to string) { add("recipe "+name, from, to) })
	compareMaps(a.Data, b.Data, func(name, from, to string) { add("data "+name, short(from), short(to)) })
	compareMaps(splits(a), splits(b), func(name, from, to string) { add("rows of "+name, from, to) })
	compareMaps(origins(a), origins(b), func(name, from, to string) { add("weights of "+name, from, to) })
	add("parameters", count(a.Parameters), count(b.Parameters))
	add("bytes", count(a.Bytes), count(b.Bytes))
	add("program", a.Program, b.Program)
	compareMaps(measured(a), measured(b), func(name, from, to string) { add(name, from, to) })
	return out
}

// compareMaps calls a function with the names of both, in order.
func compareMaps(a, b map[string]string, each func(name, from, to string)) {
	names := slices.Collect(maps.Keys(a))
	for name := range b {
		if _, ok := a[name]; !ok {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, cmp.Compare[string])
	for _, name := range names {
		each(name, a[name], b[name])
	}
}
