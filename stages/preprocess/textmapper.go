package preprocess

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/sourcegraph/conc/pool"

	"github.com/tlpipe/tlpipe/internal/dataset"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/textinput"
	"github.com/tlpipe/tlpipe/internal/words"
	"github.com/tlpipe/tlpipe/pipeline"
)

// textMapper is the kind text at work.
type textMapper struct {
	stage   *textStage
	set     *dataset.Set
	threads int
	tokens  *textinput.Tokeniser // nil: texts are not cut
}

// Close implements pipeline.Mapper.
func (m *textMapper) Close() error { return m.set.Close() }

// textRow is what a row becomes.
type textRow struct {
	text, likeness, reason string
	ids                    []int32
	count, unknown         int
}

// Map implements pipeline.Mapper.
func (m *textMapper) Map(ctx context.Context, in arrow.Record) (pipeline.Mapped, error) {
	listed, err := dataset.ParseListing(in)
	if err != nil {
		return pipeline.Mapped{}, err
	}
	var forms *array.String // as dataset.LookColumn has them
	if in.Schema().HasField(dataset.LookColumn) {
		if forms, err = record.ColumnAs[*array.String](in, dataset.LookColumn); err != nil {
			return pipeline.Mapped{}, err
		}
	}
	formats := "" // of the training files
	if forms != nil && forms.Len() > 0 {
		for word := range strings.FieldsSeq(forms.Value(0)) {
			if found, ok := strings.CutPrefix(word, formatsMark); ok {
				formats = found
			}
		}
	}
	rows := make([]textRow, listed.Len())
	work := pool.New().WithMaxGoroutines(m.threads).WithContext(ctx).WithCancelOnError().WithFirstError()
	var next atomic.Int64
	for range min(m.threads, max(len(rows), 1)) {
		work.Go(func(ctx context.Context) error {
			cutter := m.tokens.NewCutter()
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(rows) {
					return nil
				}
				form := ""
				if forms != nil {
					form, _, _ = strings.Cut(forms.Value(i), " ")
				}
				if strings.Contains(form, ":") { // what is known of all rows, of a table
					form = ""
				}
				if rows[i], err = m.row(ctx, listed, i, form, cutter); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
	}
	if err := work.Wait(); err != nil {
		return pipeline.Mapped{}, err
	}
	return m.table(rows, formats), nil
}

func (m *textMapper) row(ctx context.Context, listed *dataset.Listed, i int, form string, cutter *textinput.Cutter) (row textRow, err error) {
	part, at, digest := listed.Source(i)
	data, err := m.set.Read(ctx, part, at, digest)
	if errors.Is(err, dataset.ErrTooLarge) {
		return textRow{reason: dataset.ErrTooLarge.Error()}, nil
	}
	if err != nil {
		return row, err
	}
	if row.text, row.reason = m.stage.said(data, form); row.reason != "" {
		return row, nil
	}
	if hash, ok := words.Likeness(row.text); ok {
		row.likeness = hash.String()
	}
	if cutter != nil {
		switch row.ids, row.count, row.unknown = cutter.Cut(row.text); {
		case len(row.ids) == 0:
			row.reason = "there are no words"
		case row.count == cutter.Special():
			row.reason = "the encoder's normalisation leaves nothing of it"
		}
	}
	return row, nil
}

// table is the columns of the rows that are texts.
func (m *textMapper) table(rows []textRow, formats string) pipeline.Mapped {
	fields := []arrow.Field{
		{Name: record.Text, Type: arrow.BinaryTypes.String},
		{Name: record.Likeness, Type: arrow.BinaryTypes.String, Nullable: true},
	}
	if m.tokens != nil {
		fields = append(fields,
			arrow.Field{Name: record.Tokens, Type: arrow.ListOfNonNullable(arrow.PrimitiveTypes.Int32)},
			arrow.Field{Name: record.TokenCount, Type: arrow.PrimitiveTypes.Int32},
			arrow.Field{Name: record.UnknownTokens, Type: arrow.PrimitiveTypes.Int32})
	}
	schema := arrow.NewSchema(fields, nil)
	if formats != "" {
		schema = record.WithMetadata(schema, record.FormatsKey, formats)
	}
	if m.tokens != nil {
		schema = record.WithMetadata(schema, record.TokensKey, m.tokens.Made.Encode())
		if m.tokens.Vocabulary != nil {
			schema = record.WithMetadata(schema, record.VocabularyKey, m.tokens.Vocabulary.Encode())
		}
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	out := pipeline.Mapped{Rejects: map[int]string{}}
	for i, row := range rows {
		if row.reason != "" {
			out.Rejects[i] = row.reason
			continue
		}
		b.Field(0).(*array.StringBuilder).Append(row.text)
		if row.likeness == "" {
			b.Field(1).AppendNull()
		} else {
			b.Field(1).(*array.StringBuilder).Append(row.likeness)
		}
		if m.tokens == nil {
			continue
		}
		list := b.Field(2).(*array.ListBuilder)
		list.Append(true)
		list.ValueBuilder().(*array.Int32Builder).AppendValues(row.ids, nil)
		b.Field(3).(*array.Int32Builder).Append(int32(row.count))
		b.Field(4).(*array.Int32Builder).Append(int32(row.unknown))
	}
	out.Rows = b.NewRecord()
	return out
}
