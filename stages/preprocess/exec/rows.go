package exec

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/program"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Columns of an answer that say something about its rows.
const (
	rowColumn    = "tlpipe.row"    // int32: the row of the question that it belongs to, from 0, ascending
	rejectColumn = "tlpipe.reject" // utf8: why the row cannot be used, or null
)

// rows is the stage in mode rows.
type rows struct{ *stage }

// Columns implements pipeline.RowWise.
func (s *rows) Columns(*arrow.Schema) (pipeline.Columns, error) {
	return pipeline.Columns{Reads: s.Reads, Drops: s.Drops}, nil
}

// Open implements pipeline.RowWise.
func (s *rows) Open(_ context.Context, env *pipeline.Env, _ map[string][]pipeline.Input) (pipeline.Mapper, error) {
	m := &mapper{stage: s.stage, threads: max(env.Threads, 1), log: env.Log}
	if s.Processes > 0 {
		m.slots = make(chan struct{}, s.Processes)
	}
	return m, nil
}

// mapper asks processes, one question of each at a time.
type mapper struct {
	stage   *stage
	threads int
	log     func(format string, args ...any)
	slots   chan struct{} // nil for any number of processes

	mu   sync.Mutex
	idle []*program.Process
}

// Close implements pipeline.Mapper.
func (m *mapper) Close() error {
	var ending sync.WaitGroup
	for _, p := range m.idle {
		ending.Go(func() {
			if err := p.End(patience); err != nil {
				m.log("%v", err)
			}
		})
	}
	ending.Wait()
	return nil
}

// take gives a process that no other goroutine has.
func (m *mapper) take(ctx context.Context) (*program.Process, error) {
	if m.slots != nil {
		select {
		case m.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.idle); n > 0 {
		p := m.idle[n-1]
		m.idle = m.idle[:n-1]
		return p, nil
	}
	p, err := m.stage.command(m.threads).Start()
	if err != nil {
		m.free()
	}
	return p, err
}

func (m *mapper) free() {
	if m.slots != nil {
		<-m.slots
	}
}

func (m *mapper) giveBack(p *program.Process, good bool) {
	if good {
		m.mu.Lock()
		m.idle = append(m.idle, p)
		m.mu.Unlock()
	} else {
		_ = p.End(0)
	}
	m.free()
}

// Map implements pipeline.Mapper.
func (m *mapper) Map(ctx context.Context, in arrow.Record) (pipeline.Mapped, error) {
	out, err := m.ask(ctx, in)
	failure := new(program.Failure)
	if m.stage.OnCrash != "reject" || !errors.As(err, &failure) {
		return out, err
	}
	if in.NumRows() == 1 {
		return pipeline.Mapped{Counts: []int32{0}, Rejects: map[int]string{0: strings.Join(strings.Fields(failure.Error()), " ")}}, nil
	}
	return m.oneByOne(ctx, in)
}

// oneByOne finds the rows on which the program fails.
func (m *mapper) oneByOne(ctx context.Context, in arrow.Record) (pipeline.Mapped, error) {
	whole := pipeline.Mapped{Rejects: map[int]string{}}
	parts := make([][]arrow.Array, len(m.stage.fields))
	defer func() {
		for _, column := range parts {
			for _, p := range column {
				p.Release()
			}
		}
	}()
	for row := range int(in.NumRows()) {
		slice := in.NewSlice(int64(row), int64(row+1))
		one, err := m.Map(ctx, slice)
		slice.Release()
		if err != nil {
			return pipeline.Mapped{}, err
		}
		for _, reason := range one.Rejects {
			whole.Rejects[row] = reason
		}
		n := int32(0)
		if one.Rows != nil {
			n = int32(one.Rows.NumRows())
			for i, c := range one.Rows.Columns() {
				c.Retain()
				parts[i] = append(parts[i], c)
			}
			one.Rows.Release()
		}
		whole.Counts = append(whole.Counts, n)
	}
	columns := make([]arrow.Array, len(parts))
	for i, some := range parts {
		if len(some) == 0 {
			return whole, nil
		}
		var err error
		if columns[i], err = array.Concatenate(some, memory.DefaultAllocator); err != nil {
			return pipeline.Mapped{}, err
		}
		defer columns[i].Release()
	}
	whole.Rows = array.NewRecord(m.stage.schema(), columns, int64(columns[0].Len()))
	return whole, nil
}

// ask has a process answer some rows.
func (m *mapper) ask(ctx context.Context, in arrow.Record) (out pipeline.Mapped, err error) {
	p, err := m.take(ctx)
	if err != nil {
		return out, err
	}
	defer func() { m.giveBack(p, err == nil) }()
	var answers []arrow.Record
	defer func() {
		for _, a := range answers {
			a.Release()
		}
	}()
	err = p.Answer(ctx, in.Schema(), single(in), func(rec arrow.Record) error {
		rec.Retain()
		answers = append(answers, rec)
		return nil
	})
	if err != nil {
		return out, err
	}
	if out, err = m.mapped(answers, int(in.NumRows())); err != nil {
		return out, p.Failed(err.Error())
	}
	return out, nil
}

func single(rec arrow.Record) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) { yield(rec, nil) }
}

// mapped is what an answer to so many rows says.
func (m *mapper) mapped(answers []arrow.Record, asked int) (out pipeline.Mapped, err error) {
	out = pipeline.Mapped{Counts: make([]int32, asked), Rejects: map[int]string{}}
	parts := make([][]arrow.Array, len(m.stage.fields))
	defer func() {
		for _, column := range parts {
			for _, p := range column {
				p.Release()
			}
		}
	}()
	given, last := 0, -1
	for _, rec := range answers {
		columns, err := m.stage.conformed(rec, rowColumn, rejectColumn)
		if err != nil {
			return out, err
		}
		for i, c := range columns {
			parts[i] = append(parts[i], c)
		}
		at, err := rowsOf(rec, given)
		if err != nil {
			return out, err
		}
		reject, err := rejectsOf(rec)
		if err != nil {
			return out, err
		}
		var kept []int
		for i, row := range at {
			switch {
			case row >= asked && column(rec, rowColumn) == nil:
				return out, fmt.Errorf("answered %d rows with more; say in the column %s which row of the question each belongs to", asked, rowColumn)
			case row < last || row < 0 || row >= asked:
				return out, fmt.Errorf("gave %d in the column %s after %d, of a question of %d rows; the numbers are from 0 and ascend", row, rowColumn, last, asked)
			}
			last = row
			if reason := reject(i); reason != "" {
				out.Rejects[row] = reason
				continue
			}
			kept = append(kept, i)
			out.Counts[row]++
		}
		if len(kept) < len(at) {
			for i := range columns {
				taken, err := take(columns[i], kept)
				if err != nil {
					return out, err
				}
				columns[i].Release()
				parts[i][len(parts[i])-1] = taken
			}
		}
		given += len(at)
	}
	numbered := len(answers) > 0 && column(answers[0], rowColumn) != nil
	if !numbered && given != asked {
		return out, fmt.Errorf("answered %d rows with %d; where that is meant, say in the column %s which row of the question each belongs to", asked, given, rowColumn)
	}
	for row, reason := range out.Rejects {
		if out.Counts[row] > 0 {
			return out, fmt.Errorf("rejected row %d (%s) and gave rows for it", row, reason)
		}
	}
	if len(answers) == 0 {
		return out, nil
	}
	columns := make([]arrow.Array, len(parts))
	for i, some := range parts {
		if columns[i], err = array.Concatenate(some, memory.DefaultAllocator); err != nil {
			return out, fmt.Errorf("gave a table that cannot be put together: %w", err)
		}
		defer columns[i].Release()
	}
	out.Rows = array.NewRecord(m.stage.schema(), columns, int64(columns[0].Len()))
	return out, nil
}
