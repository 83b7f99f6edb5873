package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/tlpipe/tlpipe/internal/explain"
	"github.com/tlpipe/tlpipe/internal/inference"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/words"
	"github.com/tlpipe/tlpipe/pipeline"
)

// textsOf is the nearest table of texts that a node depends on; nil if there is none.
func textsOf(ctx context.Context, run Run, n *Node) pipeline.Input {
	for _, ancestor := range run.ancestors(n) {
		if texts := textsWithin(ctx, ancestor); texts != nil {
			return texts
		}
	}
	return nil
}

// textsWithin is a node's table of texts; nil if it has none.
func textsWithin(ctx context.Context, n *Node) pipeline.Input {
	for _, port := range slices.Sorted(maps.Keys(n.Outputs)) {
		schema, err := schemaOf(ctx, n, port)
		if err != nil || schema == nil {
			continue
		}
		if _, field, err := record.Column(schema, record.Text); err == nil && field.Type.ID() == arrow.STRING && schema.HasField(record.Split) && !schema.HasField(record.Predicted) {
			return n.Outputs[port]
		}
	}
	return nil
}

// textMistakes shows the most confident mistakes of one model on texts.
type textMistakes struct {
	Name   string
	Marked bool // words are
	Cards  []textCard
}

type textCard struct {
	ID, Label, Predicted, Confidence, Probability string
	Words                                         []markedWord
}

// markedWord is a word, or a whole text, and how much it speaks for the class that was predicted, from −100 to 100.
type markedWord struct {
	Text  string
	For   bool
	Share float64 // of the strongest, in percent; 0: it is not marked
	Title string
}

// Bounds of what is shown of texts.
const (
	textMistakesShown = 8
	textShown         = 700 // bytes of a text
	wordsShown        = 140
	textRead          = 64 << 10 // bytes of a text whose words are left out one by one
)

// newTextMistakes finds the texts of mistakes, and the words that mattered to models on tokens or on features made of words; nil if the rows are no texts.
func newTextMistakes(ctx context.Context, run Run, e *evaluation) ([]textMistakes, error) {
	texts := textsOf(ctx, run, e.node)
	if texts == nil {
		return nil, nil
	}
	wanted := map[string]bool{}
	for _, m := range e.mistakes {
		wanted[m.ID] = true
	}
	found, made, err := findTexts(ctx, texts, wanted)
	if err != nil {
		return nil, err
	}
	var names tokenNames
	if made.vocabulary != nil {
		names = made.vocabulary
	} else if !made.Words() {
		if own, ok := piecesOf(run, e.node, made.Tokenisation); ok {
			names = own
		}
	}
	var out []textMistakes
	var errs []error
	for _, m := range e.detailed() {
		view := textMistakes{Name: m.short}
		marker, err := newMarker(ctx, run, e, m.name, names)
		errs = append(errs, err)
		for _, mistake := range e.mistakes {
			row, ok := found[mistake.ID]
			if mistake.Model != m.name || !ok || len(view.Cards) == textMistakesShown {
				continue
			}
			card := textCard{
				ID: mistake.ID, Label: mistake.Label, Predicted: mistake.Predicted,
				Confidence: percent(mistake.Confidence), Probability: percent(mistake.Probability),
				Words: []markedWord{{Text: cutText(row.text, textShown)}},
			}
			if marker != nil {
				marked, err := marker.mark(row, mistake.Predicted)
				errs = append(errs, err)
				if marked != nil {
					card.Words, view.Marked = marked, true
				}
			}
			view.Cards = append(view.Cards, card)
		}
		if len(view.Cards) > 0 {
			out = append(out, view)
		}
	}
	return out, errors.Join(errs...)
}

// foundText is a text and its tokens, if it has any.
type foundText struct {
	text   string // as it is shown
	whole  string
	tokens []int32
}

// cutting is how texts were cut into tokens.
type cutting struct {
	record.Tokenisation
	vocabulary *words.Vocabulary // of words; nil: of a tokenizer, or they were not cut
}

// findTexts looks for the texts of some ids, not their copies, and how they were cut.
func findTexts(ctx context.Context, in pipeline.Input, ids map[string]bool) (map[string]foundText, cutting, error) {
	found := map[string]foundText{}
	var made cutting
	for rec, err := range in.Batches(ctx) {
		if err != nil {
			return nil, made, err
		}
		texts, err := record.ColumnAs[*array.String](rec, record.Text)
		if err != nil {
			return nil, made, err
		}
		var tokens record.TokenColumn
		cut := rec.Schema().HasField(record.Tokens)
		if cut {
			if tokens, err = record.NewTokenColumn(rec); err != nil {
				return nil, made, err
			}
		}
		if text, ok := rec.Schema().Metadata().GetValue(record.TokensKey); ok && made.Digest == "" {
			if made.Tokenisation, err = record.ParseTokenisation(text); err != nil {
				return nil, made, err
			}
		}
		if text, ok := rec.Schema().Metadata().GetValue(record.VocabularyKey); ok && made.vocabulary == nil {
			if made.vocabulary, err = words.Decode(text); err != nil {
				return nil, made, err
			}
		}
		for i := range int(rec.NumRows()) {
			id := textAt(rec, record.ID, i)
			if !ids[id] || copyAt(rec, i) != 0 || texts.IsNull(i) {
				continue
			}
			whole := string([]byte(texts.Value(i)))
			row := foundText{text: cutText(whole, textShown), whole: strings.ToValidUTF8(whole[:min(len(whole), textRead)], "")}
			if cut {
				row.tokens = slices.Clone(tokens.Row(i))
			}
			found[id] = row
		}
	}
	return found, made, nil
}

// marker finds the words that a model's answers rest on.
type marker struct {
	model   *inference.Model
	classes []string
	names   tokenNames

	texts *inference.Texts // of a model on features of texts; nil: on tokens
}

// newMarker reads a model that an evaluation took; nil if it takes neither tokens that have names nor features that can be made of texts
// again.
func newMarker(ctx context.Context, run Run, e *evaluation, name string, names tokenNames) (*marker, error) {
	mapper := heatMapper{run: run}
	in := mapper.modelInput(e.node, name)
	if in == nil {
		return nil, nil
	}
	stored, err := classifier.Read(ctx, in)
	if err != nil {
		return nil, err
	}
	tokens := stored.Input().Column == record.Tokens
	if stored.Head().Task != record.SingleLabel || tokens && names == nil {
		return nil, nil
	}
	model, err := inference.New(stored)
	if err != nil {
		return nil, err
	}
	m := &marker{model: model, classes: stored.Head().Names(), names: names}
	if tokens {
		return m, nil
	}
	if !model.OnText() {
		return nil, nil
	}
	if m.texts, err = model.OnTexts(""); err != nil {
		return nil, nil // it needs a file that is not at hand
	}
	return m, nil
}

// mark shows the words of a text by how much they speak for a class.
func (m *marker) mark(row foundText, class string) ([]markedWord, error) {
	at := slices.IndexFunc(m.classes, func(name string) bool { return cutText(name, maxText) == class })
	if at < 0 {
		return nil, nil
	}
	var falls []float64
	var err error
	count := len(row.tokens)
	word := func(i int) (string, bool) { return m.name(row.tokens[i]) }
	if m.texts == nil {
		if count == 0 {
			return nil, nil
		}
		falls, err = explain.Words(m.model, row.tokens, at)
	} else {
		pieces := strings.Fields(row.whole)
		count = len(pieces)
		word = func(i int) (string, bool) { return clipped(pieces[i]), false }
		falls, err = explain.Pieces(m.texts, len(m.classes), pieces, wordsShown, at)
	}
	if err != nil {
		return nil, err
	}
	strongest := 0.0
	for i, fall := range falls {
		if _, special := word(i); !special {
			strongest = max(strongest, math.Abs(fall))
		}
	}
	var out []markedWord
	for i := range min(count, wordsShown) {
		name, special := word(i)
		if special {
			continue
		}
		marked := markedWord{Text: name, For: falls[i] > 0}
		if share := 100 * math.Abs(falls[i]) / max(strongest, 1e-9); share >= 10 && strongest > 0.001 {
			marked.Share = share
			marked.Title = fmt.Sprintf("without it, the probability of %s changes by %+.1f points", class, -100*falls[i])
		}
		out = append(out, marked)
	}
	if count > wordsShown {
		out = append(out, markedWord{Text: "…"})
	}
	return out, nil
}

// clipped is a word that is not too long to be shown, such as an address.
func clipped(word string) string {
	const most = 60
	if letters := []rune(word); len(letters) > most {
		return string(letters[:most]) + "…"
	}
	return word
}

// name is what a token is called; special if it stands for nothing in the text.
func (m *marker) name(id int32) (name string, special bool) {
	name = m.names.Word(id)
	if _, ofTokenizer := m.names.(pieces); ofTokenizer {
		return name, name == ""
	}
	return cmp.Or(name, "□"), false // a word without a vector
}

// textsSection tells how long texts are, how many were truncated, and how many words are unknown.
func textsSection(ctx context.Context, r *reading) ([]block, error) {
	var out []block
	var errs []error
	for i := range r.run.Nodes {
		n := &r.run.Nodes[i]
		for _, port := range slices.Sorted(maps.Keys(n.Outputs)) {
			schema, err := schemaOf(ctx, n, port)
			if err != nil || schema == nil || !schema.HasField(record.TokenCount) || schema.HasField(record.Copy) || schema.HasField(record.Predicted) {
				continue
			}
			lengths, err := readLengths(ctx, n.Outputs[port])
			errs = append(errs, err)
			if lengths != nil {
				out = append(out, lengths.blocks(n.Name)...)
			}
		}
	}
	return out, errors.Join(errs...)
}

// lengths are the tokens of texts, by split.
type lengths struct {
	most   int // tokens that stay
	window int // tokens of a window; 0: there are none
	splits map[string]*splitLengths
}

type splitLengths struct {
	counts               []int
	truncated, windowed  int // texts
	lost, tokens, unseen int64
}

func readLengths(ctx context.Context, in pipeline.Input) (*lengths, error) {
	l := &lengths{splits: map[string]*splitLengths{}}
	for rec, err := range in.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		if text, ok := rec.Schema().Metadata().GetValue(record.TokensKey); ok && l.most == 0 {
			made, err := record.ParseTokenisation(text)
			if err != nil {
				return nil, err
			}
			l.most = made.Length
			if made.Truncate == record.TruncateWindow {
				l.most, l.window = made.MostTokens(0), made.Length
			}
		}
		counts, err := record.ColumnAs[*array.Int32](rec, record.TokenCount)
		if err != nil {
			return nil, err
		}
		unknown, err := record.ColumnAs[*array.Int32](rec, record.UnknownTokens)
		if err != nil {
			return nil, err
		}
		for i := range counts.Len() {
			split := textAt(rec, record.Split, i)
			s := l.splits[split]
			if s == nil {
				s = &splitLengths{}
				l.splits[split] = s
			}
			count := int(counts.Value(i))
			s.counts = append(s.counts, count)
			s.tokens += int64(count)
			s.unseen += int64(unknown.Value(i))
			if l.window > 0 && count > l.window {
				s.windowed++
			}
			if l.most > 0 && count > l.most {
				s.truncated++
				s.lost += int64(count - l.most)
			}
		}
	}
	if len(l.splits) == 0 {
		return nil, nil
	}
	return l, nil
}

// buckets are the upper ends of the classes of the histogram.
func buckets() []int { return []int{16, 32, 64, 128, 256, 512, 1024, math.MaxInt} }

func (l *lengths) blocks(name string) []block {
	totals := numberTable{Caption: "Lengths of the texts of " + name, Corner: name, Columns: []numberColumn{
		{Name: "Texts"}, {Name: "Median", Note: "tokens"}, {Name: "95 %", Note: "tokens", Hint: "95 % of the texts have this many tokens or fewer"}, {Name: "Longest", Note: "tokens"},
		{Name: "Truncated", Hint: fmt.Sprintf("texts of more than %d tokens", l.most)}, {Name: "Tokens lost", Hint: "share of all tokens that truncation removes"},
		{Name: "Unknown", Hint: "share of the tokens that are not in the vocabulary"},
	}}
	if l.window > 0 {
		totals.Columns = append(totals.Columns, numberColumn{Name: "In windows", Hint: fmt.Sprintf("texts of more than %d tokens, whose vector is pooled of those of several windows", l.window)})
	}
	histogram := numberTable{Caption: "Histogram of the lengths of " + name, Corner: "Tokens"}
	rows := make([]numberRow, len(buckets()))
	low := 1
	for i, high := range buckets() {
		rows[i].Name = fmt.Sprintf("%d to %d", low, high)
		if high == math.MaxInt {
			rows[i].Name = fmt.Sprintf("%d or more", low)
		}
		low = high + 1
	}
	for _, split := range []string{record.Train, record.Validation, record.Test} {
		s := l.splits[split]
		if s == nil {
			continue
		}
		slices.Sort(s.counts)
		n := len(s.counts)
		text := func(text string) numberCell { return numberCell{Text: text} }
		totals.Rows = append(totals.Rows, numberRow{Name: split, Full: split, Cells: []numberCell{
			text(count(int64(n))), text(count(int64(s.counts[n/2]))), text(count(int64(s.counts[min(n*95/100, n-1)]))), text(count(int64(s.counts[n-1]))),
			text(fmt.Sprintf("%s (%s)", count(int64(s.truncated)), percent(float64(s.truncated)/float64(n)))),
			text(percent(float64(s.lost) / float64(max(s.tokens, 1)))), text(percent(float64(s.unseen) / float64(max(s.tokens, 1)))),
		}})
		if last := &totals.Rows[len(totals.Rows)-1]; l.window > 0 {
			last.Cells = append(last.Cells, text(fmt.Sprintf("%s (%s)", count(int64(s.windowed)), percent(float64(s.windowed)/float64(n)))))
		}
		histogram.Columns = append(histogram.Columns, numberColumn{Name: split})
		at := 0
		for i, high := range buckets() {
			in := 0
			for at < n && s.counts[at] <= high {
				at, in = at+1, in+1
			}
			share := float64(in) / float64(n)
			rows[i].Cells = append(rows[i].Cells, numberCell{Text: percent(share), HasBar: true, Bar: 100 * share})
		}
	}
	histogram.Rows = rows
	return []block{tableOf(totals), tableOf(histogram)}
}
