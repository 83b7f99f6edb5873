package augment

import (
	"context"
	"crypto/sha256"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/words"
	"github.com/tlpipe/tlpipe/internal/wordvectors"
	"github.com/tlpipe/tlpipe/pipeline"
)

// TextParams are the parameters of the kind augment_text.
type TextParams struct {
	Copies   int      `yaml:"copies" min:"0" max:"1000" doc:"augmented copies of each text, in addition to the text itself"`
	Splits   []string `yaml:"splits" doc:"splits whose rows are augmented"`
	Delete   float64  `yaml:"delete" min:"0" max:"0.9" doc:"leave out each word with this probability"`
	Swap     float64  `yaml:"swap" min:"0" max:"0.9" doc:"swap each word with the next with this probability"`
	Mask     float64  `yaml:"mask" min:"0" max:"0.9" doc:"replace each word by the unknown word with this probability; for texts that are cut into words"`
	Synonyms float64  `yaml:"synonyms" min:"0" max:"0.9" doc:"replace each word, with this probability, by one of the five words whose vectors are nearest"`
	Vectors  string   `yaml:"vectors" recipe:"-" doc:"word vectors for synonyms: builtin, or a file"`
}

// Text declares the kind augment_text.
func Text() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "augment_text",
		Summary: "add varied copies of training texts",
		Doc: "Deletes words, swaps neighbouring words, masks words and replaces words by others of similar meaning (Wei and Zou 2019, \"EDA\"). " +
			"The texts of copies are in lower case without punctuation, and their tokens are computed from these. Copies depend only on the seed and " +
			"the text. For texts that are cut into the tokens of an encoder, only delete and swap are available, and the first and last token are kept.",
		Example: `varied:
  uses: augment_text
  from: texts
  with: {copies: 2, delete: 0.1, synonyms: 0.1}
`,
		Version: 1,
		Seeded:  true,
		Inputs:  []pipeline.Port{{Name: "text", Kind: pipeline.Text, Doc: "rows with a text"}},
		Outputs: []pipeline.Port{{Name: "text", Kind: pipeline.Text, Doc: "the rows and their copies; `copy` is 0 for the text itself"}},
	}, TextParams{Copies: 1, Splits: []string{record.Train}, Vectors: wordvectors.BuiltinName}, func(p TextParams) (pipeline.Stage, error) {
		if p.Delete+p.Swap+p.Mask+p.Synonyms == 0 && p.Copies > 0 {
			return nil, pipeline.ParamErrorHint("copies", "set delete, swap, mask or synonyms", "without a variation, copies would equal the texts")
		}
		return &textStage{params: p}, nil
	})
}

type textStage struct {
	params TextParams
	dir    string
}

// Locate implements pipeline.Located.
func (s *textStage) Locate(dir string) { s.dir = dir }

// Numerics implements pipeline.Numeric: neighbours are found by sums of products.
func (*textStage) Numerics() string { return kernel.ScalarNumerics() }

// table reads the vectors of synonyms; nil without any.
func (s *textStage) table() (*wordvectors.Table, error) {
	if s.params.Synonyms == 0 {
		return nil, nil
	}
	path := s.params.Vectors
	if path != wordvectors.BuiltinName && !filepath.IsAbs(path) {
		path = filepath.Join(s.dir, path)
	}
	t, err := wordvectors.Open(path)
	if err == nil && t.Vocabulary() == nil {
		err = errors.New("it has vectors of tokens, not of words")
	}
	if err != nil {
		return nil, pipeline.ParamErrorHint("vectors", "builtin, or a file of word vectors", "%v", err)
	}
	return t, nil
}

// Identity implements pipeline.Identified.
func (s *textStage) Identity() (map[string]string, error) {
	t, err := s.table()
	if err != nil || t == nil {
		return nil, err
	}
	return map[string]string{"vectors": t.Digest}, nil
}

// Check implements pipeline.Stage.
func (s *textStage) Check(inputs map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	var traits pipeline.Traits
	for _, t := range inputs["text"] {
		traits = t
	}
	cut := ""
	if text, ok := traits[record.TokensKey]; ok {
		made, err := record.ParseTokenisation(text)
		if err != nil {
			return nil, err
		}
		if cut = "words"; !made.Words() {
			cut = "tokens"
		}
	}
	for _, p := range []struct {
		name  string
		share float64
	}{{"mask", s.params.Mask}, {"synonyms", s.params.Synonyms}} {
		if p.share > 0 && cut == "tokens" {
			return nil, pipeline.ParamErrorHint(p.name, "use delete or swap", "is for words, but the texts are cut into the tokens of an encoder")
		}
	}
	if s.params.Mask > 0 && cut == "" {
		return nil, pipeline.ParamErrorHint("mask", "set words in the stage text, or use delete", "is for texts that are cut into words")
	}
	return map[string]pipeline.Traits{"text": traits}, nil
}

// Columns implements pipeline.RowWise: copies come of the text alone, and its tokens.
func (s *textStage) Columns(in *arrow.Schema) (pipeline.Columns, error) {
	if in.HasField(record.Copy) {
		return pipeline.Columns{}, errors.New("the texts are already augmented: a pipeline path can have one augment stage only")
	}
	splits := s.params.Splits
	if s.params.Copies == 0 {
		splits = nil
	}
	reads := []string{record.Text}
	if in.HasField(record.Tokens) {
		reads = append(reads, record.Tokens, record.TokenCount, record.UnknownTokens)
	}
	return pipeline.Columns{
		Reads: reads, Where: &pipeline.Where{Column: record.Split, Values: splits}, Keeps: true, Adds: []arrow.Field{copyField},
	}, nil
}

// Open implements pipeline.RowWise.
func (s *textStage) Open(_ context.Context, env *pipeline.Env, _ map[string][]pipeline.Input) (pipeline.Mapper, error) {
	t, err := s.table()
	if err != nil {
		return nil, err
	}
	m := &textMapper{params: s.params, seed: env.Seed, table: t}
	if t != nil {
		m.neighbours = wordvectors.NewNeighbours(t, mostSynonyms)
	}
	return m, nil
}

// mostSynonyms is how many words of the vectors may take the place of others: rare ones do not.
const mostSynonyms = 20000

type textMapper struct {
	params     TextParams
	seed       uint64
	table      *wordvectors.Table
	neighbours *wordvectors.Neighbours
}

// Close implements pipeline.Mapper.
func (*textMapper) Close() error { return nil }

// Map implements pipeline.Mapper.
func (m *textMapper) Map(ctx context.Context, in arrow.Record) (pipeline.Mapped, error) {
	texts, err := record.ColumnAs[*array.String](in, record.Text)
	if err != nil {
		return pipeline.Mapped{}, err
	}
	meta := in.Schema().Metadata()
	var made record.Tokenisation
	var vocabulary *words.Vocabulary
	var tokens record.TokenColumn
	fields := []arrow.Field{{Name: record.Text, Type: arrow.BinaryTypes.String}}
	cut := in.Schema().HasField(record.Tokens)
	if cut {
		if tokens, err = record.NewTokenColumn(in); err != nil {
			return pipeline.Mapped{}, err
		}
		for _, name := range []string{record.Tokens, record.TokenCount, record.UnknownTokens} {
			_, field, err := record.Column(in.Schema(), name)
			if err != nil {
				return pipeline.Mapped{}, err
			}
			fields = append(fields, field)
		}
		if text, ok := meta.GetValue(record.TokensKey); ok {
			if made, err = record.ParseTokenisation(text); err != nil {
				return pipeline.Mapped{}, err
			}
		}
		if text, ok := meta.GetValue(record.VocabularyKey); ok {
			if vocabulary, err = words.Decode(text); err != nil {
				return pipeline.Mapped{}, err
			}
		}
	}
	fields = append(fields, copyField)
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, &meta))
	defer b.Release()
	out := pipeline.Mapped{Counts: make([]int32, in.NumRows())}
	for i := range out.Counts {
		if texts.IsNull(i) {
			continue
		}
		said := texts.Value(i)
		digest := sha256.Sum256([]byte(said))
		for c := 1; c <= m.params.Copies; c++ {
			if err := ctx.Err(); err != nil {
				return pipeline.Mapped{}, err
			}
			d := newDraw(m.seed, string(digest[:]), c)
			text, ids := said, []int32(nil)
			if cut && vocabulary == nil {
				ids = m.varyTokens(d, tokens.Row(i))
			} else {
				text, ids = m.varyWords(d, said, vocabulary)
			}
			b.Field(0).(*array.StringBuilder).Append(text)
			if cut {
				unknown := 0
				if vocabulary != nil {
					for _, id := range ids {
						if id == words.Unknown {
							unknown++
						}
					}
				}
				count := len(ids)
				if vocabulary != nil {
					ids = made.Truncated(ids, made.Length)
				}
				list := b.Field(1).(*array.ListBuilder)
				list.Append(true)
				list.ValueBuilder().(*array.Int32Builder).AppendValues(ids, nil)
				b.Field(2).(*array.Int32Builder).Append(int32(count))
				b.Field(3).(*array.Int32Builder).Append(int32(unknown))
			}
			b.Field(len(fields) - 1).(*array.Int32Builder).Append(int32(c))
			out.Counts[i]++
		}
	}
	out.Rows = b.NewRecord()
	return out, nil
}

// varyWords varies the words of a text; ids are those of the vocabulary, if there is one. One word at least stays.
func (m *textMapper) varyWords(d *draw, text string, vocabulary *words.Vocabulary) (varied string, ids []int32) {
	all := slices.Collect(words.In(text))
	masked := make([]bool, len(all))
	for i := range all {
		// Every chance is drawn for every word, so that one parameter more does not move what the others do.
		synonym, which, mask := d.Float64(), d.IntN(nearestWords), d.Float64()
		if synonym < m.params.Synonyms {
			all[i] = m.synonym(all[i], which)
		}
		masked[i] = mask < m.params.Mask
	}
	order := m.kept(d, len(all))
	var out strings.Builder
	for _, i := range order {
		if vocabulary != nil {
			id := vocabulary.ID(all[i])
			if masked[i] {
				id = words.Unknown
			}
			ids = append(ids, id)
		}
		if masked[i] {
			continue
		}
		if out.Len() > 0 && !strings.HasPrefix(all[i], "'") && all[i] != "n't" {
			out.WriteByte(' ')
		}
		out.WriteString(all[i])
	}
	return out.String(), ids
}

// nearestWords is how many words may take the place of one.
const nearestWords = 5

// synonym is a word whose vector is near that of another, or the same word if it has none.
func (m *textMapper) synonym(word string, which int) string {
	near := m.neighbours.Of(int(m.table.Vocabulary().ID(word)) - words.FirstWord)
	if which >= len(near) {
		return word
	}
	return m.table.Piece(near[which])
}

// kept is which of n words stay, in their order after swaps.
func (m *textMapper) kept(d *draw, n int) []int {
	order := make([]int, 0, n)
	for i := range n {
		if !d.chance(m.params.Delete) {
			order = append(order, i)
		}
	}
	if len(order) == 0 && n > 0 {
		order = append(order, d.IntN(n))
	}
	for i := 0; i+1 < len(order); i++ {
		if d.chance(m.params.Swap) {
			order[i], order[i+1] = order[i+1], order[i]
		}
	}
	return order
}

// varyTokens varies the tokens of an encoder, but the first and the last.
func (m *textMapper) varyTokens(d *draw, ids []int32) []int32 {
	if len(ids) < 3 {
		return ids
	}
	out := []int32{ids[0]}
	for _, i := range m.kept(d, len(ids)-2) {
		out = append(out, ids[1+i])
	}
	return append(out, ids[len(ids)-1])
}
