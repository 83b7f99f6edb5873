package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// Plan says for each node whether its results are at hand.
type Plan struct{ Nodes []PlanNode }

// Pending tells whether anything has to be computed.
func (p Plan) Pending() bool {
	for _, n := range p.Nodes {
		if n.State != Cached {
			return true
		}
	}
	return false
}

// State of a node in a plan.
type State string

// The states of a node in a plan.
const (
	Cached  State = "cached"  // everything is at hand
	Partial State = "partial" // some chunks are at hand
	Stale   State = "stale"   // it ran before, but something changed
	New     State = "new"     // it never ran in this pipeline
)

// PlanNode is what a run would do with a node, and why.
type PlanNode struct {
	Stage   string   `json:"stage"`
	Uses    string   `json:"uses"`
	State   State    `json:"state"`
	Because []string `json:"because"`
	Notes   []string `json:"notes,omitempty"` // see Noted

	Chunks  int `json:"chunks"`  // known so far; 0 if the inputs are not
	Pending int `json:"pending"` // chunks to be computed, of those known

	// Of a row-wise stage: rows that go in, rows to be computed, and chunks
	// that are put together anew of rows that are at hand. Rows count as to be
	// computed where their content is not known yet.
	Rows        int64 `json:"rows,omitempty"`
	PendingRows int64 `json:"pending_rows,omitempty"`
	Composed    int   `json:"composed,omitempty"`

	// Of a whole-table stage to be computed: the parts that it will ask for,
	// and how many of them are at hand; 0 if that is not known.
	Parts       int `json:"parts,omitempty"`
	PartsCached int `json:"parts_cached,omitempty"`

	// Outputs holds the chunks of each port if the node is cached.
	Outputs map[string][]cache.Chunk `json:"-"`
	Cost    float64                  `json:"-"` // seconds that they took; 0 if not known, as of chunks
	Shares  []cache.Share            `json:"-"` // what shares of the work took
	Node    *Node                    `json:"-"`
	Rejects []Reject                 `json:"-"` // of a source's listing

	// Fails tells why a run will fail here, as far as what is at hand tells it:
	// more rows were rejected than the pipeline allows by now.
	Fails string `json:"fails,omitempty"`

	Overview *Overview `json:"overview,omitempty"` // what a source found
}

// Plan tells what a run would compute, and why. It reads listings of sources
// and the cache's entries, and computes nothing.
func (r *Runner) Plan(ctx context.Context, g *Graph) (Plan, error) {
	selected, err := r.Selection.resolve(g)
	if err != nil {
		return Plan{}, err
	}
	p := &planner{
		Runner: r, graph: g, index: r.Store.StatIndex(), ports: map[*Node]map[string][]planned{}, listed: map[*Node]*Overview{},
	}
	p.latest, err = r.Store.Latest(cache.PipelineID(g.Name, g.File))
	if err != nil && !errors.Is(err, cache.ErrMissing) {
		return Plan{}, err
	}
	var plan Plan
	for _, n := range g.Nodes {
		m, ok := selected[n]
		if !ok {
			continue
		}
		node, err := p.node(ctx, n, m)
		if err != nil {
			return Plan{}, g.hideError(fmt.Errorf("stage %s: %w", n.Name, err))
		}
		plan.Nodes = append(plan.Nodes, node)
	}
	return plan, p.index.Save()
}

// planned is a chunk of an output: known, or still to be computed.
type planned struct {
	cache.Chunk
	known bool
}

type planner struct {
	*Runner
	graph  *Graph
	index  *cache.StatIndex
	latest cache.Latest
	ports  map[*Node]map[string][]planned
	listed map[*Node]*Overview // what sources found
}

func (p *planner) node(ctx context.Context, n *Node, m mode) (PlanNode, error) {
	out := PlanNode{Stage: n.Name, Uses: n.Kind.Name, Node: n, Because: []string{}, Notes: n.Notes()}
	w := &nodePlan{planner: p, node: n, mode: m, out: &out, recipe: n.Recipe.Digest(), entries: map[string][]planned{}}
	first := 0
	switch stage := n.Stage.(type) {
	case Source:
		env := &Env{Seed: n.Seed, Threads: 1, Dir: p.graph.dir(), Files: p.index,
			Progress: func(int64, int64, string) {}, ProgressWithin: func(int64, int64, string, int64, int64, string) {}, Log: func(string, ...any) {}}
		listing, err := stage.List(ctx, env)
		if err != nil {
			return out, fmt.Errorf("list the source: %w", err)
		}
		out.Rejects, out.Overview = listing.Rejects, listing.Overview
		p.listed[n] = listing.Overview
		rejected, err := putRejects(p.Store, listing.Rejects)
		if err != nil {
			return out, err
		}
		w.have(map[string][]cache.Chunk{RejectsPort: rejected})
		chunks, err := cutListing(listing.Rows)
		if err != nil {
			return out, err
		}
		for _, c := range chunks {
			w.pieces = append(w.pieces, plannedPiece{planned{cache.Chunk{Digest: c.digest, Rows: c.rows.NumRows()}, true}, c.rows})
		}
	case RowWise:
		edge := n.Inputs[0]
		w.port, first = edge.Port, 1
		for _, c := range p.ports[edge.From][edge.FromPort] {
			w.pieces = append(w.pieces, plannedPiece{planned: c})
		}
	}
	var known bool
	w.refs, known = p.sideRefs(n, first)
	if _, rowWise := n.Stage.(RowWise); rowWise {
		w.composer = newComposer(p.Store, n, w.refs)
		w.composer.fresh, w.composer.dry = m.force, true
		for _, piece := range w.pieces {
			if err := w.rows(ctx, piece, known); err != nil {
				return out, err
			}
		}
	} else if e, ok := w.chunk(w.refs, known); ok {
		out.Cost, out.Shares = e.Cost, e.Shares
	} else {
		w.pend()
	}
	if teller, ok := n.Stage.(PartsPlanner); ok && known && out.Pending > 0 && !m.force {
		if err := p.planParts(n, teller, &out); err != nil {
			return out, err
		}
	}
	p.ports[n] = w.entries
	p.judge(n, m, &out, w.pending)
	if w.composer != nil {
		if err := w.tooManyRejects(ctx); err != nil {
			out.Fails = err.Error()
		}
	}
	if out.State != Cached && out.Fails == "" {
		out.Fails = strings.Join(p.lacks(n), "\n")
		if err := n.foresee(p.listed); err != nil && out.Fails == "" {
			out.Fails = err.Error()
		}
	}
	p.nameRows(ctx, w)
	if out.State == Cached {
		out.Outputs = map[string][]cache.Chunk{}
		for port, chunks := range w.entries {
			for _, c := range chunks {
				out.Outputs[port] = append(out.Outputs[port], c.Chunk)
			}
		}
	}
	return out, nil
}

// lacks tells what a node needs of the sources' rows and is not there.
func (p *planner) lacks(n *Node) (lacks []string) {
	for _, source := range p.graph.Nodes {
		lacks = append(lacks, n.lacks(source, p.listed[source])...)
	}
	return lacks
}

// tooManyRejects judges the rejects that are at hand as a run would.
func (w *nodePlan) tooManyRejects(ctx context.Context) error {
	c := counts{seen: w.out.Rows + int64(len(w.out.Rejects))}
	var rejected []cache.Chunk
	for _, chunk := range w.entries[RejectsPort] {
		if c.rejects += chunk.Rows; chunk.known {
			rejected = append(rejected, chunk.Chunk)
		}
	}
	if outputs := w.node.Kind.Outputs; len(outputs) > 0 {
		for _, chunk := range w.entries[outputs[0].Name] {
			c.rows += chunk.Rows
		}
	}
	return w.node.Declared.tooManyRejects(c, w.out.Pending == 0, func() string {
		return firstReject(ctx, NewArtifact(w.Store, RejectsPort, nil, rejected))
	})
}

// nodePlan is a node while it is planned.
type nodePlan struct {
	*planner
	node     *Node
	mode     mode
	out      *PlanNode
	recipe   string // digest
	port     string // of the streaming input
	refs     []cache.InputRef
	pieces   []plannedPiece
	composer *composer // of a row-wise node
	entries  map[string][]planned
	pending  []string // keys, as far as they are known

	listed, absent []string // ids of a source's rows, and of those whose content is to be computed
}

// plannedPiece is a chunk of the streaming input.
type plannedPiece struct {
	planned
	listing arrow.Record // of a source
}

// chunk looks for what the inputs give; ok is false if it is to be computed.
func (w *nodePlan) chunk(inputs []cache.InputRef, known bool) (e cache.Entry, ok bool) {
	w.out.Chunks++
	if !known || w.mode.force {
		return e, false
	}
	k := key(w.recipe, inputs)
	e, err := w.Store.Lookup(k)
	if err != nil {
		w.pending = append(w.pending, k)
		return e, false
	}
	w.have(e.Outputs)
	return e, true
}

func (w *nodePlan) have(outputs map[string][]cache.Chunk) {
	for port, chunks := range outputs {
		for _, c := range chunks {
			w.entries[port] = append(w.entries[port], planned{c, true})
		}
	}
}

// pend counts a chunk that is to be computed.
func (w *nodePlan) pend() {
	w.out.Pending++
	for _, o := range w.node.Kind.Outputs {
		w.entries[o.Name] = append(w.entries[o.Name], planned{})
	}
	w.entries[RejectsPort] = append(w.entries[RejectsPort], planned{})
}

// rows plans a chunk of a row-wise node: where it is not at hand, perhaps all
// of its rows are, or some.
func (w *nodePlan) rows(ctx context.Context, piece plannedPiece, known bool) error {
	w.out.Rows += piece.Rows
	inputs := append([]cache.InputRef{{Port: w.port, Digest: piece.Digest}}, w.refs...)
	if _, ok := w.chunk(inputs, known && piece.known); ok {
		return nil
	}
	if !known || !piece.known || w.mode.force {
		w.out.PendingRows += piece.Rows
		w.pend()
		return nil
	}
	outputs, missing, err := w.compose(ctx, piece)
	switch {
	case isDamage(err):
		w.out.PendingRows += piece.Rows
		w.pend()
	case err != nil:
		return err
	case missing > 0:
		w.out.PendingRows += int64(missing)
		w.pend()
	default:
		w.out.Composed++
		w.pending = w.pending[:len(w.pending)-1]
		w.have(outputs)
	}
	return nil
}

// compose puts a chunk together of rows that are in the cache; missing is how
// many are not.
func (w *nodePlan) compose(ctx context.Context, piece plannedPiece) (outputs map[string][]cache.Chunk, missing int, err error) {
	var in *rows
	var sc *rowScope
	if piece.listing != nil {
		in, sc, err = w.composer.listed(piece.listing)
	} else {
		in, sc, err = w.composer.resting(ctx, piece.Chunk)
	}
	if err != nil {
		return nil, 0, err
	}
	keys, given, err := w.composer.selected(ctx, in, sc)
	if err != nil {
		return nil, 0, err
	}
	found, absent, err := w.composer.lookUp(sc, keys, given)
	if piece.listing != nil && err == nil && len(absent) > 0 {
		ids, err := w.composer.ids(ctx, in)
		if err != nil {
			return nil, 0, err
		}
		for _, row := range absent {
			if row < len(ids) {
				w.absent = append(w.absent, ids[row])
			}
		}
	}
	if err != nil || len(absent) > 0 {
		return nil, len(absent), err
	}
	chunk, rejects, ok, err := w.composer.compose(ctx, in, sc, given, found)
	if err != nil {
		return nil, 0, err
	}
	outputs = map[string][]cache.Chunk{}
	if ok {
		outputs[w.node.Kind.Outputs[0].Name] = []cache.Chunk{chunk}
	}
	if rejected, err := putRejects(w.Store, rejects); err == nil && rejected != nil {
		outputs[RejectsPort] = rejected
	}
	return outputs, 0, nil
}

// planParts counts the parts of a stage that are at hand.
func (p *planner) planParts(n *Node, teller PartsPlanner, out *PlanNode) (err error) {
	inputs := map[string][]Input{}
	for _, e := range n.Inputs {
		var chunks []cache.Chunk
		for _, c := range p.ports[e.From][e.FromPort] {
			chunks = append(chunks, c.Chunk)
		}
		inputs[e.Port] = append(inputs[e.Port], NewArtifact(p.Store, e.Port, nil, chunks))
	}
	out.Parts, err = teller.PlanParts(inputs, n.Seed, func(part Part) (map[string]Input, bool) {
		e, err := p.Store.Lookup(partKey(n.Kind, part))
		if err != nil {
			return nil, false
		}
		out.PartsCached++
		results := map[string]Input{}
		for name, chunks := range e.Outputs {
			results[name] = NewArtifact(p.Store, name, nil, chunks)
		}
		return results, true
	})
	return err
}

// sideRefs gives what inputs from index first on add to keys; ok is false if
// some are not computed yet.
func (p *planner) sideRefs(n *Node, first int) (refs []cache.InputRef, ok bool) {
	for _, e := range n.Inputs[first:] {
		digest, known := p.digest(e)
		if !known {
			return nil, false
		}
		ref := cache.InputRef{Port: e.Port, Digest: digest}
		if e.Many {
			ref.Name = e.name()
		}
		refs = append(refs, ref)
	}
	return refs, true
}

// digest of an artifact, if all of its chunks are known.
func (p *planner) digest(e Edge) (string, bool) {
	chunks := []cache.Chunk{}
	for _, c := range p.ports[e.From][e.FromPort] {
		if !c.known {
			return "", false
		}
		chunks = append(chunks, c.Chunk)
	}
	return chunksDigest(chunks), true
}

// nameRows adds to the reasons of a source which rows came, went or changed.
func (p *planner) nameRows(ctx context.Context, w *nodePlan) {
	before, ran := p.latest.Node(w.node.Name)
	if _, isSource := w.node.Stage.(Source); !isSource || !ran || before.Recipe != w.recipe || w.mode.force || w.out.Pending+w.out.Composed == 0 {
		return
	}
	for _, piece := range w.pieces {
		at := piece.listing.Schema().FieldIndices(record.ID)
		if len(at) != 1 {
			return
		}
		for i := range int(piece.listing.NumRows()) {
			w.listed = append(w.listed, piece.listing.Column(at[0]).ValueStr(i))
		}
	}
	if text := w.changedRows(ctx, before); text != "" {
		w.out.Because = append(w.out.Because, text)
	}
}

// judge sets the state and the reasons for it.
func (p *planner) judge(n *Node, m mode, out *PlanNode, pending []string) {
	if out.Pending == 0 {
		out.State = Cached
		if out.Composed > 0 {
			out.Because = append(out.Because, fmt.Sprintf("%d of %d chunks are put together anew from cached rows", out.Composed, out.Chunks))
		}
		return
	}
	before, ran := p.latest.Node(n.Name)
	switch {
	case out.Pending < out.Chunks:
		out.State = Partial
	case ran:
		out.State = Stale
	default:
		out.State = New
	}
	because := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !slices.Contains(out.Because, text) { // two outputs of one stage
			out.Because = append(out.Because, text)
		}
	}
	if m.lookup {
		defer because("--only does not compute it: a run fails here")
	}
	if m.force {
		because("it is forced")
		return
	}
	if _, begun := p.latest.UnfinishedNode(n.Name); begun && !ran {
		because("it has not run to its end in this pipeline before")
		return
	}
	if !ran {
		because("it has not run in this pipeline before")
		return
	}
	if out.PendingRows > 0 && out.PendingRows < out.Rows {
		defer func() { because("%d of %d rows are to be computed", out.PendingRows, out.Rows) }()
	}
	recipeChanged := before.Recipe != n.Recipe.Digest()
	if recipeChanged {
		if old, err := p.Store.Recipe(before.Recipe); err == nil {
			out.Because = append(out.Because, n.Recipe.Difference(old)...)
		} else {
			because("its parameters changed")
		}
	}
	for i, e := range n.Inputs {
		digest, known := p.digest(e)
		switch {
		case !known:
			because("input %s: stage %s is to be computed", e.Port, e.From.Name)
		case i >= len(before.Inputs):
			because("input %s: stage %s is new there", e.Port, e.From.Name)
		case before.Inputs[i].Digest != digest:
			because("input %s: the result of stage %s changed", e.Port, e.From.Name)
		case before.Inputs[i].Name != e.From.Name && e.Many:
			because("input %s: it was %s", e.Port, before.Inputs[i].Name)
		}
	}
	if len(before.Inputs) > len(n.Inputs) {
		because("it took from %d stages before, from %d now", len(before.Inputs), len(n.Inputs))
	}
	if len(out.Because) > 0 {
		return
	}
	if _, isSource := n.Stage.(Source); isSource {
		fresh := 0
		for _, k := range pending {
			if !slices.Contains(before.Keys, k) {
				fresh++
			}
		}
		if fresh > 0 {
			because("the source changed: %d of %d chunks are new", fresh, out.Chunks)
			return
		}
	}
	because("its results are no longer in the cache")
}
