package report

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// search shows some queries of one search, with what was found first.
type search struct {
	Name, Full string
	Queries    int
	Shown      []query
}

type query struct {
	item
	Rank     int64 // of the first right answer
	Relevant int64 // right rows in the gallery
	Answers  []found
}

// found is an answer.
type found struct {
	item
	Similarity string
	Right      bool
}

// item is a row as people look at it: a picture, or else a text; neither if it is not to be had.
type item struct {
	ID, By  string // by: what it shares with the rows that belong to it
	Picture template.URL
	Text    string
}

// What is shown of searches.
const (
	searchesShown = 4
	queriesShown  = 6
	answersShown  = 6
	itemText      = 160 // bytes
)

// searchesSection shows queries as they were answered, the best, the worst, and others evenly between.
func searchesSection(ctx context.Context, r *reading, e *result) ([]block, error) {
	if !e.ofRetrieval() {
		return nil, nil
	}
	in := answersOf(ctx, e.node)
	if in == nil {
		return nil, nil
	}
	var searches []*search
	for _, m := range e.detailed() {
		if len(searches) < searchesShown {
			searches = append(searches, &search{Name: m.short, Full: m.name})
		}
	}
	if err := readSearches(ctx, in, searches); err != nil {
		return nil, fmt.Errorf("read the answers of %s: %w", e.node.Name, err)
	}
	var errs []error
	var shown []*search
	for _, s := range searches {
		if len(s.Shown) == 0 {
			continue
		}
		from, to := r.run.sidesOf(e.node, s.Full)
		errs = append(errs, r.run.showItems(ctx, s, from, to))
		shown = append(shown, s)
	}
	if len(shown) == 0 {
		return nil, errors.Join(errs...)
	}
	maps, err := r.run.jointMaps(ctx, e.node, e.about.Split)
	blocks := []block{{"searches", shown}, more(len(e.detailed()) - len(shown) + e.undetailed())}
	return append(blocks, maps...), errors.Join(append(errs, err)...)
}

// answersOf is the table of a node that tells what queries found; nil if it has none.
func answersOf(ctx context.Context, n *Node) pipeline.Input {
	in := n.Outputs["answers"]
	if in == nil {
		return nil
	}
	if schema, err := schemaOf(ctx, n, "answers"); err != nil || schema == nil || !schema.HasField("found") || !schema.HasField("rank") {
		return nil
	}
	return in
}

// readSearches reads the table twice: for the ranks of all queries, and for those that are shown.
func readSearches(ctx context.Context, in pipeline.Input, searches []*search) error {
	ranks := map[string]map[string]int64{} // by search and query
	for _, s := range searches {
		ranks[s.Full] = map[string]int64{}
	}
	each := func(visit func(rec arrow.Record, row int, search, id string)) error {
		for rec, err := range in.Batches(ctx) {
			if err != nil {
				return err
			}
			for i := range int(rec.NumRows()) {
				visit(rec, i, textAt(rec, "search", i), textAt(rec, record.ID, i))
			}
		}
		return nil
	}
	err := each(func(rec arrow.Record, row int, search, id string) {
		if of := ranks[search]; of != nil {
			of[id] = numberAt(rec, "rank", row)
		}
	})
	if err != nil {
		return err
	}
	places := map[string]map[string]int{} // of the queries that are shown
	for _, s := range searches {
		places[s.Full] = map[string]int{}
		s.Queries = len(ranks[s.Full])
		for i, id := range evenly(ranks[s.Full], queriesShown) {
			places[s.Full][id] = i
		}
		s.Shown = make([]query, len(places[s.Full]))
	}
	bySearch := map[string]*search{}
	for _, s := range searches {
		bySearch[s.Full] = s
	}
	return each(func(rec arrow.Record, row int, name, id string) {
		place, ok := places[name][id]
		if !ok {
			return
		}
		q := &bySearch[name].Shown[place]
		q.ID, q.By = id, textAt(rec, "by", row)
		q.Rank, q.Relevant = numberAt(rec, "rank", row), numberAt(rec, "relevant", row)
		if len(q.Answers) < answersShown {
			q.Answers = append(q.Answers, found{
				item:       item{ID: textAt(rec, "found", row), By: textAt(rec, "found_by", row)},
				Similarity: similarityAt(rec, row), Right: textAt(rec, "right", row) == "true",
			})
		}
	})
}

// evenly picks n of the queries, evenly by rank: the first is one of those answered best, the last one of those answered worst.
func evenly(ranks map[string]int64, n int) []string {
	var ids []string
	for id := range ranks {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int {
		if ranks[a] != ranks[b] {
			return int(ranks[a] - ranks[b])
		}
		return strings.Compare(a, b)
	})
	if len(ids) <= n {
		return ids
	}
	var out []string
	for i := range n {
		out = append(out, ids[i*(len(ids)-1)/(n-1)])
	}
	return out
}

func numberAt(rec arrow.Record, column string, row int) int64 {
	n, _ := strconv.ParseInt(textAt(rec, column, row), 10, 64)
	return n
}

func similarityAt(rec arrow.Record, row int) string {
	x, err := strconv.ParseFloat(textAt(rec, "similarity", row), 64)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%.2f", x)
}

// sidesOf are the nodes that the queries and the gallery of a search are of. Of two tables, the name of the search tells which looks
// for which.
func (r Run) sidesOf(n *Node, name string) (queries, gallery *Node) {
	side := func(port, begins string) *Node {
		for _, link := range n.Inputs {
			if link.Port == port && strings.HasPrefix(begins, link.From) {
				return r.node(link.From)
			}
		}
		for _, link := range n.Inputs { // the values of a matrix are left out where both sides have them
			base, _, _ := strings.Cut(link.From, "[")
			if link.Port == port && strings.HasPrefix(begins, base+" ") {
				return r.node(link.From)
			}
		}
		return nil
	}
	from, to, two := strings.Cut(name, " → ")
	if !two {
		data := side("data", name)
		return data, data
	}
	if queries = side("data", from+" "); queries != nil {
		return queries, side("gallery", to+" ")
	}
	return side("gallery", from+" "), side("data", to+" ")
}

// showItems finds the pictures and texts of the rows of a search.
func (r Run) showItems(ctx context.Context, s *search, queries, gallery *Node) error {
	asked, answers := map[string]bool{}, map[string]bool{}
	for _, q := range s.Shown {
		asked[q.ID] = true
		for _, a := range q.Answers {
			answers[a.ID] = true
		}
	}
	askedItems, err := r.itemsOf(ctx, queries, asked)
	if err != nil {
		return err
	}
	answerItems, err := r.itemsOf(ctx, gallery, answers)
	if err != nil {
		return err
	}
	for i := range s.Shown {
		q := &s.Shown[i]
		q.Picture, q.Text = askedItems[q.ID].Picture, askedItems[q.ID].Text
		for j := range q.Answers {
			a := &q.Answers[j]
			a.Picture, a.Text = answerItems[a.ID].Picture, answerItems[a.ID].Text
		}
	}
	return nil
}

// itemsOf looks for rows among the pictures or texts that a node's rows were made of.
func (r Run) itemsOf(ctx context.Context, n *Node, ids map[string]bool) (map[string]item, error) {
	out := map[string]item{}
	if n == nil {
		return out, nil
	}
	for _, ancestor := range slices.Backward(r.lineage(n)) {
		if images := outputWith(ctx, ancestor, record.Image); images != nil {
			pictures, err := findPictures(ctx, images, ids)
			if err != nil {
				return out, err
			}
			for id, picture := range pictures {
				uri, err := dataURI(smallThumbnail(picture))
				if err != nil {
					return out, err
				}
				out[id] = item{Picture: uri}
			}
			return out, nil
		}
	}
	for _, ancestor := range r.lineage(n) {
		if texts := textsWithin(ctx, ancestor); texts != nil {
			found, _, err := findTexts(ctx, texts, ids)
			if err != nil {
				return out, err
			}
			for id, row := range found {
				out[id] = item{Text: cutText(row.text, itemText)}
			}
			return out, nil
		}
	}
	return out, nil
}

// lineage lists the nodes that a node's rows come from, itself first: models are not among them.
func (r Run) lineage(n *Node) []*Node {
	out := []*Node{n}
	for i := 0; i < len(out); i++ {
		for _, link := range out[i].Inputs {
			if from := r.node(link.From); from != nil && link.Port != "model" && !slices.Contains(out, from) {
				out = append(out, from)
			}
		}
	}
	return out
}

// jointMaps draws the rows of two tables that are searched in one another in one plane: in a space that both share, what belongs
// together lies together.
func (r Run) jointMaps(ctx context.Context, n *Node, split string) ([]block, error) {
	var galleries []Link
	for _, link := range n.Inputs {
		if link.Port == "gallery" {
			galleries = append(galleries, link)
		}
	}
	var all []chart
	var keys []key
	at := 0
	for _, link := range n.Inputs {
		if link.Port != "data" || at >= len(galleries) || len(all) == maxDetailed {
			continue
		}
		sides := []*Node{r.node(link.From), r.node(galleries[at].From)}
		at++
		var points []point
		var side []int
		keys = nil
		for i, node := range sides {
			if node == nil {
				continue
			}
			in := outputWith(ctx, node, record.Feature)
			if in == nil {
				continue
			}
			sample, err := samplePoints(ctx, in)
			if err != nil {
				return nil, err
			}
			for _, p := range sample {
				if split == "" || p.split == split {
					points, side = append(points, p), append(side, i)
				}
			}
			keys = append(keys, key{Colour: i, Symbol: i, Name: node.Stage})
		}
		if len(keys) < 2 || len(points) < 3 || len(points[0].features) != len(points[len(points)-1].features) {
			continue
		}
		name := sides[0].Name + " and " + sides[1].Name
		all = append(all, chart{
			Name: shortPair(sides[0], sides[1]), Full: name, Panel: jointPanel(name, points, side),
		})
	}
	if len(all) == 0 {
		return nil, nil
	}
	return []block{subheading("Both kinds in one space"), note("Rows of the split in the plane of their first two principal components, which are of both tables together. Where what belongs together is found, both kinds lie in the same places."), keysOf(keys...), charts(all...)}, nil
}

// shortPair names two nodes, and what the matrix has for both once.
func shortPair(a, b *Node) string {
	out := a.Stage + " and " + b.Stage
	if _, values, ok := strings.Cut(a.Name, "["); ok {
		out += ", " + strings.TrimSuffix(values, "]")
	}
	return out
}

func jointPanel(name string, points []point, side []int) panel {
	p, _, _ := inPlane(points, func(i int) mark { return mark{Symbol: side[i], Class: fmt.Sprintf("k%d", side[i])} })
	p.Label = fmt.Sprintf("%s of %s in the plane of their first two principal components. Symbols and colours show the table.", plural(int64(len(points)), "row"), name)
	return p
}
