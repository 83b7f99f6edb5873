package vectorise

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"sync"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/textinput"
	"github.com/tlpipe/tlpipe/internal/tfidf"
	"github.com/tlpipe/tlpipe/internal/words"
	"github.com/tlpipe/tlpipe/internal/wordvectors"
	"github.com/tlpipe/tlpipe/pipeline"
)

// The methods.
const (
	methodTFIDF = "tfidf"
	methodMean  = "mean"
	methodSIF   = "sif"
)

// Params are the parameters of the stage.
type Params struct {
	Method  string  `yaml:"method" enum:"tfidf,mean,sif" doc:"tfidf, the counts of terms, weighted by how rare each term is; mean, the mean of the word vectors; or sif, their mean with less weight for frequent words and without the component that all texts share"`
	Vectors string  `yaml:"vectors" recipe:"-" doc:"of mean and sif: builtin, 20,000 words of GloVe with 100 numbers each; a file of GloVe, word2vec or fastText (.vec); or a folder with model.safetensors and its tokenizer"`
	Most    int     `yaml:"most" min:"1" max:"65536" doc:"of tfidf: maximum number of terms; those in the most training rows are kept"`
	Least   int     `yaml:"least" min:"1" doc:"of tfidf: leave out terms that occur in fewer training rows than this"`
	Words   int     `yaml:"words" min:"1" max:"5" doc:"of tfidf: a term is a sequence of up to this many words"`
	A       float64 `yaml:"a" above:"0" max:"1" doc:"of sif: words that are rarer than this share of all words have more than half the weight"`
}

// Kind declares the stage.
func Kind() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "vectorise",
		Summary: "compute features of texts without a network: tf-idf, or the mean of pre-trained word vectors",
		Doc: "tfidf is the baseline that every model of texts should be compared with: its terms are those of the training rows, and with " +
			"`head: logistic` in finetune it is often hard to beat. mean and sif use word vectors that were trained on other texts, " +
			"so that few labelled rows are enough. Texts without any known word have zeros.",
		Example: `features:
  uses: vectorise
  from: texts
  with: {method: mean, vectors: builtin}
`,
		Version: 2,
		Inputs:  []pipeline.Port{{Name: "text", Kind: pipeline.Text, Doc: "rows with a text"}},
		Outputs: []pipeline.Port{{Name: "features", Kind: pipeline.Features, Doc: "the same rows with `feature` in place of text and tokens"}},
	}, Params{Method: methodTFIDF, Most: 4096, Least: 2, Words: 1, A: 1e-3}, func(p Params) (pipeline.Stage, error) {
		if err := p.check(); err != nil {
			return nil, err
		}
		return &stage{params: p}, nil
	})
}

func (p Params) check() error {
	switch {
	case p.Method == methodTFIDF && p.Vectors != "":
		return pipeline.ParamErrorHint("vectors", "leave it out, or set method: mean", "tfidf does not use word vectors")
	case p.Method != methodTFIDF && p.Vectors == "":
		return pipeline.ParamErrorHint("vectors", "builtin, or a file", "the word vectors are missing")
	}
	return nil
}

// stage is the kind with its parameters filled in.
type stage struct {
	params Params
	dir    string

	mu    sync.Mutex
	table *wordvectors.Table
}

// Locate implements pipeline.Located.
func (s *stage) Locate(dir string) { s.dir = dir }

// vectors reads the table of vectors, once; nil if the method has none.
func (s *stage) vectors() (*wordvectors.Table, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.table != nil || s.params.Method == methodTFIDF {
		return s.table, nil
	}
	path := s.params.Vectors
	if path != wordvectors.BuiltinName && !filepath.IsAbs(path) {
		path = filepath.Join(s.dir, path)
	}
	var err error
	if s.table, err = wordvectors.Open(path); err != nil {
		return nil, pipeline.ParamErrorHint("vectors", "builtin, a file of word vectors, or a folder with model.safetensors and a tokenizer", "%v", err)
	}
	return s.table, nil
}

// Check implements pipeline.Stage.
func (s *stage) Check(map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	return map[string]pipeline.Traits{"features": {}}, nil
}

// Identity implements pipeline.Identified: the vectors by their content, never by path.
func (s *stage) Identity() (map[string]string, error) {
	table, err := s.vectors()
	if err != nil || table == nil {
		return nil, err
	}
	return map[string]string{"vectors": table.Digest}, nil
}

// Numerics implements pipeline.Numeric.
func (s *stage) Numerics() string { return kernel.ScalarNumerics() }

// Estimate implements pipeline.Estimator.
func (s *stage) Estimate(map[string][]pipeline.Input) (pipeline.Resources, error) {
	return pipeline.Resources{Memory: 256 << 20, PerRow: 4 * int64(s.params.Most)}, nil
}

// Run implements pipeline.WholeTable.
func (s *stage) Run(ctx context.Context, task *pipeline.Task) error {
	in := task.Input("text")
	schema, err := in.Schema(ctx)
	if err != nil {
		return err
	}
	if schema == nil {
		return fmt.Errorf("%s have no rows", in.Name())
	}
	encode, err := s.fit(ctx, task, in)
	if err != nil {
		return err
	}
	made, err := record.Transforms{record.ReadText(schema.Metadata().ToMap()), encode.step}.Encode()
	if err != nil {
		return fmt.Errorf("tell how features are made: %w", err)
	}
	var out pipeline.Writer
	empty, rows := 0, 0
	for rec, err := range in.Batches(ctx) {
		if err != nil {
			return err
		}
		features, without, err := encode.record(rec, made)
		if err != nil {
			return fmt.Errorf("%s: %w", in.Name(), err)
		}
		if out == nil {
			if out, err = task.Output("features", features.Schema()); err != nil {
				return err
			}
		}
		empty, rows = empty+without, rows+int(features.NumRows())
		err = out.Write(features)
		features.Release()
		if err != nil {
			return err
		}
	}
	if empty > 0 {
		task.Log("%d of %d texts have no known word: their features are zeros", empty, rows)
	}
	return out.Close()
}

// encoder makes the features of texts, as a step tells.
type encoder struct {
	*textinput.Vectoriser
	step record.Transform
}

// trainingTexts yields the texts of the training rows; the error is that of reading.
func trainingTexts(ctx context.Context, in pipeline.Input, err *error) iter.Seq[string] {
	return func(yield func(string) bool) {
		for rec, failed := range in.Batches(ctx) {
			if *err = failed; failed != nil {
				return
			}
			texts, failed := record.ColumnAs[*array.String](rec, record.Text)
			if *err = failed; failed != nil {
				return
			}
			roles, failed := record.NewRoles(rec)
			if *err = failed; failed != nil {
				return
			}
			for i := range texts.Len() {
				if roles.Split(i) == record.Train && !texts.IsNull(i) && !yield(texts.Value(i)) {
					return
				}
			}
		}
	}
}

// fit learns of the training rows what the method needs to know.
func (s *stage) fit(ctx context.Context, task *pipeline.Task, in pipeline.Input) (*encoder, error) {
	var failed error
	texts := trainingTexts(ctx, in, &failed)
	if s.params.Method == methodTFIDF {
		v := tfidf.Fit(texts, tfidf.Options{Most: s.params.Most, Least: s.params.Least, Longest: s.params.Words})
		if failed != nil {
			return nil, failed
		}
		if len(v.Terms()) == 0 {
			return nil, errors.New("no term occurs in enough training rows: lower least")
		}
		task.Log("%d terms", len(v.Terms()))
		terms, err := words.NewVocabulary(v.Terms())
		if err != nil {
			return nil, err
		}
		holding, of := v.Holding()
		step := record.TermsStep{Terms: terms.Encode(), Holding: holding, Texts: of, Longest: s.params.Words}
		made, err := textinput.Terms(step)
		return &encoder{made, step}, err
	}
	table, err := s.vectors()
	if err != nil {
		return nil, err
	}
	cutter := table.NewCutter()
	unknown, all := 0, 0
	counts := make([]int64, table.Len())
	for text := range texts {
		places, without := cutter.Cut(text)
		unknown, all = unknown+without, all+without+len(places)
		for _, place := range places {
			counts[place]++
		}
	}
	if failed != nil {
		return nil, failed
	}
	task.Log("%.1f %% of the words of training rows have no vector", 100*float64(unknown)/float64(max(all, 1)))
	step := record.WordMeanStep{Vectors: wordvectors.BuiltinName, Digest: table.Digest, Width: table.Width}
	if s.params.Vectors != wordvectors.BuiltinName {
		step.Vectors = "file" // whatever its name: the same vectors give the same bytes
	}
	if s.params.Method == methodSIF {
		step.SIF = &record.SIFWeights{A: s.params.A}
		for place, n := range counts {
			if n > 0 {
				step.SIF.Places, step.SIF.Counts = append(step.SIF.Places, int32(place)), append(step.SIF.Counts, n)
			}
		}
		weighed, err := textinput.WordMean(step, table) // what texts share is not known yet
		if err != nil {
			return nil, err
		}
		var means []float32
		for text := range texts {
			mean := make([]float32, table.Width)
			if weighed.Vector(mean, text) {
				means = append(means, mean...)
			}
		}
		if failed != nil {
			return nil, failed
		}
		step.SIF.Common = wordvectors.Common(means, table.Width)
	}
	made, err := textinput.WordMean(step, table)
	return &encoder{made, step}, err
}

// record makes the features of a batch of rows, which say how they were made; without is how many have no known word.
func (e *encoder) record(rec arrow.Record, made string) (_ arrow.Record, without int, err error) {
	texts, err := record.ColumnAs[*array.String](rec, record.Text)
	if err != nil {
		return nil, 0, err
	}
	values := make([]float32, texts.Len()*e.Width)
	for i := range texts.Len() {
		if !e.Vector(values[i*e.Width:(i+1)*e.Width], texts.Value(i)) {
			without++
		}
	}
	field := record.TensorField(record.Feature, arrow.PrimitiveTypes.Float32, e.Width)
	feature := record.NewTensors(field.Type, arrow.Float32Traits.CastToBytes(values), texts.Len())
	defer feature.Release()
	fields, columns := []arrow.Field{field}, []arrow.Array{feature}
	for i, f := range rec.Schema().Fields() {
		if !slices.Contains([]string{record.Text, record.Tokens, record.TokenCount, record.UnknownTokens}, f.Name) {
			fields, columns = append(fields, f), append(columns, rec.Column(i))
		}
	}
	schema := record.WithMetadata(arrow.NewSchema(fields, nil), record.TransformsKey, made)
	return array.NewRecord(schema, columns, rec.NumRows()), without, nil
}
