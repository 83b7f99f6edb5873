package extract

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/tlpipe/tlpipe/internal/encoder"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/textinput"
	"github.com/tlpipe/tlpipe/internal/weightfile"
	"github.com/tlpipe/tlpipe/pipeline"
)

// EncodeParams are the parameters of the kind encode.
type EncodeParams struct {
	Encoder   string `yaml:"encoder" recipe:"-" required:"true" doc:"the folder of the encoder, as on Hugging Face: config.json, model.safetensors or pytorch_model.bin, its tokenizer, and 1_Pooling of sentence-transformers if there is one"`
	Layer     string `yaml:"layer" doc:"pooled, the vector after the last block; block3, the vector after an earlier one, counted from 0; or embeddings, before the first"`
	Precision string `yaml:"precision" enum:"fp32,bf16,int8" doc:"arithmetic of the encoder's dense layers: fp32; bf16, faster on processors with bfloat16 instructions and slightly less accurate; or int8, faster still and less accurate, with each token quantised by itself"`
	Pooling   string `yaml:"pooling" recipe:"-" enum:"auto,mean,cls,max,last" doc:"how the vectors of the tokens are pooled into one: auto, as the encoder's folder says; mean; cls, the first token's vector; max, the maximum of each dimension; or last, the last token's vector"`
}

// Encode declares the kind encode.
func Encode() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "encode",
		Summary: "compute vectors of texts with a pre-trained text encoder",
		Doc: "Runs the tokens of each text through a transformer (BERT, MiniLM, RoBERTa, DistilBERT, the text towers of CLIP and SigLIP) and stores one vector per text in the column " +
			"`feature`; all other columns are kept. Texts must have been cut into tokens by the encoder's own tokenizer: set `for: FOLDER` in the " +
			"stage of kind text. With `truncate: window` there, the vector of a long text is the mean of those of its windows, weighted by their tokens. The vector of a text does not depend on the other texts.",
		Example: `vectors:
  uses: encode
  from: texts
  with: {encoder: models/all-MiniLM-L6-v2}
`,
		Version: 2,
		Inputs:  []pipeline.Port{{Name: "text", Kind: pipeline.Text, Doc: "texts with the column `tokens`"}},
		Outputs: []pipeline.Port{{Name: "features", Kind: pipeline.Features, Doc: "the same rows with `feature`"}},
	}, EncodeParams{Layer: encoder.Pooled, Precision: frozen.Float32.String(), Pooling: encoder.PoolingOfFolder}, func(p EncodeParams) (pipeline.Stage, error) {
		precision, err := frozen.ParsePrecision(p.Precision)
		if err != nil {
			return nil, pipeline.ParamError("precision", "%v", err)
		}
		s := &encodeStage{params: p, precision: precision}
		s.open = sync.OnceValues(func() (*encoder.Encoder, error) { return encoder.Open(s.folder, p.Pooling) })
		return s, nil
	})
}

// encodeStage is the kind encode with its parameters filled in.
type encodeStage struct {
	params    EncodeParams
	precision frozen.Precision
	folder    string
	open      func() (*encoder.Encoder, error)
}

// Locate implements pipeline.Located.
func (s *encodeStage) Locate(dir string) {
	s.folder = s.params.Encoder
	if !filepath.IsAbs(s.folder) {
		s.folder = filepath.Join(dir, s.folder)
	}
}

// Check implements pipeline.Stage.
func (s *encodeStage) Check(inputs map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	e, err := s.open()
	if err != nil {
		return nil, pipeline.ParamError("encoder", "%v", err)
	}
	net, err := e.Network(s.params.Layer)
	if err != nil {
		return nil, pipeline.ParamError("layer", "%v", err)
	}
	if err := e.CheckWeights(net); err != nil {
		return nil, pipeline.ParamError("encoder", "%v", err)
	}
	out := pipeline.Traits{}
	for _, traits := range inputs["text"] {
		if _, err := textinput.CheckTokens(traits[record.TokensKey], e, s.params.Encoder); err != nil {
			return nil, err
		}
		if task, ok := traits[record.TaskKey]; ok {
			out[record.TaskKey] = task
		}
	}
	return map[string]pipeline.Traits{"features": out}, nil
}

// Columns implements pipeline.RowWise: vectors come of the tokens alone.
func (s *encodeStage) Columns(in *arrow.Schema) (pipeline.Columns, error) {
	if !in.HasField(record.Tokens) {
		return pipeline.Columns{}, fmt.Errorf("the texts have no column %s: set `for` in the stage of kind text", record.Tokens)
	}
	return pipeline.Columns{Reads: []string{record.Tokens}, Drops: []string{record.Tokens}}, nil
}

// Numerics implements pipeline.Numeric.
func (s *encodeStage) Numerics() string { return s.precision.Numerics() }

// Identity implements pipeline.Identified: the encoder by content, never by path.
func (s *encodeStage) Identity() (map[string]string, error) {
	e, err := s.open()
	if err != nil {
		return nil, err
	}
	sum, err := e.Digest()
	return map[string]string{"encoder": sum}, err
}

// Notes implements pipeline.Noted.
func (s *encodeStage) Notes() []string {
	e, err := s.open()
	if err != nil {
		return nil
	}
	notes := append([]string{fmt.Sprintf("encoder %v; pooling: %s", e, e.Pooling())}, e.Notes()...)
	if note := s.precision.Note(); note != "" {
		notes = append(notes, note)
	}
	return notes
}

// Estimate implements pipeline.Estimator.
func (s *encodeStage) Estimate(map[string][]pipeline.Input) (pipeline.Resources, error) {
	e, err := s.open()
	if err != nil {
		return pipeline.Resources{}, err
	}
	net, err := e.Network(s.params.Layer)
	if err != nil {
		return pipeline.Resources{}, err
	}
	f := net.Footprint()
	tokens := int64(max(e.Sizes.MostTokens(), 512))
	return pipeline.Resources{
		Memory:    4 * (f.Parameters + f.Packed),
		PerThread: 4*tokens*(f.Peak+3*int64(e.Sizes.Width)) + workspace,
		PerRow:    4 * (int64(e.Sizes.MostTokens()) + 2*int64(e.VectorWidth(s.params.Layer))),
	}, nil
}

// encodeMapper is the kind encode at work.
type encodeMapper struct {
	embedder *encoder.Embedder
	step     record.EncodingStep // that it carries out
	threads  int
}

// Open implements pipeline.RowWise.
func (s *encodeStage) Open(ctx context.Context, env *pipeline.Env, _ map[string][]pipeline.Input) (pipeline.Mapper, error) {
	e, err := s.open()
	if err != nil {
		return nil, err
	}
	embedder, err := encoder.NewEmbedder(e, s.params.Layer, s.precision)
	if err != nil {
		return nil, err
	}
	step := record.EncodingStep{Layer: s.params.Layer, Pooling: e.PoolingWord(), Width: embedder.Width()}
	if s.precision != frozen.Float32 {
		step.Precision = s.precision.String()
	}
	expected, err := e.WeightsDigest()
	if err == nil {
		var sum string
		sum, err = weightfile.Digest(e.Weights(), func(path string) (string, error) { return env.Files.Digest(ctx, path) })
		if err == nil && sum != expected {
			err = fmt.Errorf("%s was changed while the pipeline was running", e.Weights())
		}
	}
	if err == nil {
		step.Digest, err = e.Digest()
	}
	if err != nil {
		embedder.Close()
		return nil, err
	}
	return &encodeMapper{embedder: embedder, step: step, threads: max(env.Threads, 1)}, nil
}

// Close implements pipeline.Mapper.
func (m *encodeMapper) Close() error {
	m.embedder.Close()
	return nil
}

// Map implements pipeline.Mapper.
func (m *encodeMapper) Map(ctx context.Context, in arrow.Record) (pipeline.Mapped, error) {
	lists, err := record.ColumnAs[*array.List](in, record.Tokens)
	if err != nil {
		return pipeline.Mapped{}, fmt.Errorf("encode texts: %w", err)
	}
	all, ok := lists.ListValues().(*array.Int32)
	if !ok {
		return pipeline.Mapped{}, errors.New("encode texts: the column tokens does not hold int32")
	}
	out := pipeline.Mapped{Rejects: map[int]string{}}
	made, err := record.ParseTokenisation(in.Schema().Metadata().ToMap()[record.TokensKey])
	if err != nil {
		return pipeline.Mapped{}, fmt.Errorf("encode texts: %w", err)
	}
	var texts [][][]int32
	for i := range lists.Len() {
		var own []int32
		if lists.IsValid(i) {
			from, to := lists.ValueOffsets(i)
			own = all.Int32Values()[from:to]
		}
		windows := made.Windows(own)
		for _, w := range windows {
			if reason := m.embedder.Check(w); reason != "" {
				out.Rejects[i] = reason
			}
		}
		if out.Rejects[i] == "" {
			texts = append(texts, windows)
		}
	}
	if err := ctx.Err(); err != nil {
		return pipeline.Mapped{}, err
	}
	width := m.embedder.Width()
	vectors := make([]float32, len(texts)*width)
	if err := m.embedder.EmbedWindows(m.threads, texts, vectors); err != nil {
		return pipeline.Mapped{}, fmt.Errorf("encode texts: %w", err)
	}
	if !finite(vectors) {
		return pipeline.Mapped{}, errors.New("encode texts: a vector is not finite: the weights are unusable")
	}
	field := record.TensorField(record.Feature, arrow.PrimitiveTypes.Float32, width)
	column := record.NewTensors(field.Type, arrow.Float32Traits.CastToBytes(vectors), len(texts))
	defer column.Release()
	schema := arrow.NewSchema([]arrow.Field{field}, nil)
	if steps, err := record.TokenTransforms(in.Schema().Metadata().ToMap()); err == nil && len(steps) > 0 {
		made, err := append(steps, m.step).Encode()
		if err != nil {
			return pipeline.Mapped{}, fmt.Errorf("encode texts: %w", err)
		}
		schema = record.WithMetadata(schema, record.TransformsKey, made)
	}
	out.Rows = array.NewRecord(schema, []arrow.Array{column}, int64(len(texts)))
	return out, nil
}
