package inference

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/sourcegraph/conc/pool"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
)

// takesTokens refuses tokens of a table that are not those that the model learned from.
func (m *Model) takesTokens(schema *arrow.Schema) error {
	if !m.takesIDs() {
		return errors.New("it takes numbers, but the texts are tokens: it was trained on features, not on texts")
	}
	for key, what := range map[string]string{record.TokensKey: "cut into tokens", record.VocabularyKey: "cut into words of a vocabulary"} {
		want, told := m.stored.Metadata[key]
		if has, _ := schema.Metadata().GetValue(key); told && has != want {
			return fmt.Errorf("the texts are %s in another way than those that the model learned from", what)
		}
	}
	return nil
}

// takesIDs tells whether the network takes tokens.
func (m *Model) takesIDs() bool {
	return m.stored.Network.Element(m.stored.Network.Inputs()[0].Name) == nn.Int32
}

// TokenNumbers is how many numbers stand for the tokens of a text of which there are most at most.
func TokenNumbers(most int) int { return 1 + most }

// AppendTokens appends the tokens of a text as so many numbers: how many tokens there are, each of them, and zeros. So tables of
// tokens are read by what reads tables of numbers.
func AppendTokens(dst []float32, ids []int32, numbers int) []float32 {
	ids = ids[:min(len(ids), numbers-1)]
	dst = append(dst, float32(len(ids)))
	for _, id := range ids {
		dst = append(dst, float32(id)) // below 2^24, as all ids are
	}
	return append(dst, make([]float32, numbers-1-len(ids))...)
}

// runTokens is Run for rows of AppendTokens.
func (s *Session) runTokens(inputs []float32, n int, out []float32) error {
	if n == 0 {
		return nil
	}
	width := len(inputs) / n
	lengths, ids := make([]int, n), []int32(nil)
	for i := range n {
		row := inputs[i*width : (i+1)*width]
		lengths[i] = int(row[0])
		for _, id := range row[1 : 1+lengths[i]] {
			ids = append(ids, int32(id))
		}
	}
	network := s.tokens.stored.Network
	return s.frozen.RunSequences(s.pool, lengths, nn.Batch{network.Inputs()[0].Name: {Int32: ids}}, nn.Batch{network.Output().Name: {Float32: out}})
}

// tokensTogether is how many tokens are computed at once.
const tokensTogether = 2048

// runTokens computes the answers to rows of tokens, as [Rows.Run] does: the shortest rows first, several at once, each in its own
// length.
func (r *Rows) runTokens(ctx context.Context, rec arrow.Record, threads int) (answers []float32, reasons []string, err error) {
	column, err := record.NewTokenColumn(rec)
	if err != nil {
		return nil, nil, err
	}
	names, rows := len(r.model.Head().Names()), int(rec.NumRows())
	answers, reasons = make([]float32, rows*names), make([]string, rows)
	var order []int
	for i := range rows {
		if len(column.Row(i)) == 0 {
			reasons[i] = "there are no tokens"
			continue
		}
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int { return len(column.Row(a)) - len(column.Row(b)) })
	network := r.model.stored.Network
	input, output := network.Inputs()[0].Name, network.Output().Name
	tasks := pool.New().WithErrors().WithMaxGoroutines(max(threads, 1))
	for len(order) > 0 {
		n, tokens := 0, 0
		for n < len(order) && (n == 0 || tokens+len(column.Row(order[n])) <= tokensTogether) {
			tokens += len(column.Row(order[n]))
			n++
		}
		run := order[:n]
		order = order[n:]
		tasks.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			var lengths []int
			ids := make([]int32, 0, tokens)
			for _, row := range run {
				ids = append(ids, column.Row(row)...)
				lengths = append(lengths, len(column.Row(row)))
			}
			out := make([]float32, n*names)
			session := r.model.program.NewSession(tokens)
			if err := session.RunSequences(nil, lengths, nn.Batch{input: {Int32: ids}}, nn.Batch{output: {Float32: out}}); err != nil {
				return err
			}
			for i, row := range run {
				copy(answers[row*names:(row+1)*names], out[i*names:])
			}
			return nil
		})
	}
	if err := tasks.Wait(); err != nil {
		return nil, nil, err
	}
	for i := range reasons {
		if own := answers[i*names : (i+1)*names]; reasons[i] == "" && slices.ContainsFunc(own, notFinite) {
			reasons[i] = "the model's answer is not finite: the weights are no good"
		}
	}
	return answers, reasons, nil
}
