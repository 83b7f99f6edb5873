package extract

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/tlpipe/tlpipe/internal/inference"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// EmbedParams are the parameters of the kind embed.
type EmbedParams struct {
	Layer   string `yaml:"layer" doc:"a layer of the model; if not given, its embedding: what its last dense layer takes, or its output if that is vectors of length 1"`
	Weights string `yaml:"weights" recipe:"-" doc:"the file of the backbone's weights, if the model is on features that were made with weights from a file and the data are images; of models on texts, the file of word vectors or the folder of a text encoder"`
}

// Embed declares the kind embed.
func Embed() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "embed",
		Summary: "compute features with a trained model: what its classifier stands on",
		Doc: "Runs each row through a model of finetune or contrastive, without its last layer, and stores the vector in the column `feature`. " +
			"The features of a network that was fine-tuned, or trained with an objective of metric learning, can so be searched " +
			"(retrieval), serve few-shot learning (episodes), or another classifier. Rows need no label, and those of classes that the model does not know do as well. " +
			"A model on features also takes the images that they are made of.",
		Example: `vectors:
  uses: embed
  from: {data: features, model: net}
`,
		Version: 1,
		Inputs: []pipeline.Port{
			{Name: "data", Kind: pipeline.Features, Also: []pipeline.PortKind{pipeline.Images, pipeline.Text}, Doc: "the rows: features as the model takes them, images or texts"},
			{Name: "model", Kind: pipeline.Model, Doc: "the model"},
		},
		Outputs: []pipeline.Port{{Name: "features", Kind: pipeline.Features, Doc: "the same rows with `feature` in place of `image`, `tokens` or the features before"}},
	}, EmbedParams{}, func(p EmbedParams) (pipeline.Stage, error) { return &embedStage{params: p}, nil })
}

// embedStage is the kind embed with its parameters filled in.
type embedStage struct {
	params EmbedParams
	dir    string
}

// Locate implements pipeline.Located.
func (s *embedStage) Locate(dir string) { s.dir = dir }

// Check implements pipeline.Stage.
func (s *embedStage) Check(inputs map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	if err := classifier.CheckOne("embed", inputs["model"]); err != nil {
		return nil, err
	}
	out := pipeline.Traits{}
	for _, data := range inputs["data"] {
		if task, ok := data[record.TaskKey]; ok {
			out[record.TaskKey] = task
		}
		for _, model := range inputs["model"] {
			features, want := data[record.ExtractionKey], model[record.ExtractionKey]
			if features != "" && want != "" && features != want {
				return nil, fmt.Errorf("the data is not made as the features that the model was trained on: %s", record.MadeDifferently(features, want))
			}
		}
	}
	return map[string]pipeline.Traits{"features": out}, nil
}

// Columns implements pipeline.RowWise: vectors come of the numbers alone.
func (s *embedStage) Columns(in *arrow.Schema) (pipeline.Columns, error) {
	switch {
	case record.OnPictures(in):
		return pipeline.Columns{Reads: []string{record.Image}, Drops: []string{record.Image}}, nil
	case in.HasField(record.Feature):
		return pipeline.Columns{Reads: []string{record.Feature}, Drops: []string{record.Feature}}, nil
	case in.HasField(record.Tokens):
		return pipeline.Columns{Reads: []string{record.Text, record.Tokens}, Drops: []string{record.Tokens}}, nil
	}
	return pipeline.Columns{Reads: []string{record.Text}}, nil
}

// Numerics implements pipeline.Numeric.
func (s *embedStage) Numerics() string { return kernel.Numerics() }

// Estimate implements pipeline.Estimator: of a network of middle size, since the model is not there yet.
func (s *embedStage) Estimate(map[string][]pipeline.Input) (pipeline.Resources, error) {
	return pipeline.Resources{Memory: 200 << 20, PerThread: 64 << 20, PerRow: 64 << 10}, nil
}

// Open implements pipeline.RowWise.
func (s *embedStage) Open(ctx context.Context, env *pipeline.Env, side map[string][]pipeline.Input) (pipeline.Mapper, error) {
	stored, err := classifier.Read(ctx, side["model"][0])
	if err != nil {
		return nil, err
	}
	m := &embedMapper{weights: s.params.Weights, threads: max(env.Threads, 1), rows: map[string]*inference.Rows{}}
	if m.weights != "" && !filepath.IsAbs(m.weights) {
		m.weights = filepath.Join(s.dir, m.weights)
	}
	if m.model, m.shape, err = inference.Vectors(stored, s.params.Layer); err != nil {
		return nil, pipeline.ParamError("layer", "%v", err)
	}
	return m, nil
}

// embedMapper is the kind embed at work.
type embedMapper struct {
	model   *inference.Model
	shape   nn.Shape
	weights string
	threads int

	mu   sync.Mutex
	rows map[string]*inference.Rows // by the schema of the input: one, unless a caller mixes
}

// Close implements pipeline.Mapper.
func (m *embedMapper) Close() error {
	for _, r := range m.rows {
		r.Close()
	}
	return nil
}

// Map implements pipeline.Mapper.
func (m *embedMapper) Map(ctx context.Context, in arrow.Record) (pipeline.Mapped, error) {
	rows, err := m.rowsOf(in.Schema())
	if err != nil {
		return pipeline.Mapped{}, fmt.Errorf("prepare the model: %w", err)
	}
	vectors, reasons, err := rows.Run(ctx, in, m.threads)
	if err != nil {
		return pipeline.Mapped{}, fmt.Errorf("run the model: %w", err)
	}
	out := pipeline.Mapped{Rejects: map[int]string{}}
	width, kept := m.shape.Size(), 0
	for i, reason := range reasons {
		if reason != "" {
			out.Rejects[i] = reason
			continue
		}
		copy(vectors[kept*width:(kept+1)*width], vectors[i*width:])
		kept++
	}
	field := record.TensorField(record.Feature, arrow.PrimitiveTypes.Float32, m.shape...)
	column := record.NewTensors(field.Type, arrow.Float32Traits.CastToBytes(vectors[:kept*width]), kept)
	defer column.Release()
	schema := arrow.NewSchema([]arrow.Field{field}, nil)
	for _, key := range []string{record.ExtractionKey, record.TransformsKey, record.PreprocessingKey} { // tell how the features before were made
		schema = record.WithMetadata(schema, key, "")
	}
	out.Rows = array.NewRecord(schema, []arrow.Array{column}, int64(kept))
	return out, nil
}

func (m *embedMapper) rowsOf(schema *arrow.Schema) (*inference.Rows, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := schema.String()
	if r := m.rows[key]; r != nil {
		return r, nil
	}
	r, err := m.model.OnRows(schema, m.weights)
	if err == nil {
		m.rows[key] = r
	}
	return r, err
}
