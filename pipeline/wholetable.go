package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// runTable waits for all inputs and does the node's work in one piece.
func (nr *nodeRun) runTable(ctx context.Context, stage WholeTable) error {
	inputs, refs, err := nr.side(ctx, 0)
	if err != nil {
		return err
	}
	work := nr.work(refs, nil)
	if work.Need, err = nr.tableNeed(inputs); err != nil {
		return err
	}
	work.Here = func(ctx context.Context) (e cache.Entry, err error) {
		out := newTableTask(nr.x.Store, &nr.node.Kind)
		defer out.abort()
		var parts ledger
		task := nr.task(work.Key, nr.threadsOf(ctx), inputs, out, &parts, true)
		task.Memory = nr.bound
		task.Recipe = recipeOf(nr.node.Recipe)
		if err := stage.Run(ctx, task); err != nil {
			return e, err
		}
		parts.close(&e)
		e.Outputs, err = out.finish(portNames(nr.node.Kind.Outputs))
		return e, err
	}
	e, computed, err := nr.obtain(ctx, nr.x.executor, work)
	if err != nil {
		return err
	}
	var rows int64
	for _, in := range inputs {
		for _, a := range in {
			rows += a.Rows()
		}
	}
	for _, p := range nr.node.Kind.Outputs {
		nr.outputs[p.Name].expect(len(e.Outputs[p.Name]))
	}
	return nr.accept(ctx, e, 0, rows, computed, nr.again(work))
}

// blobBytes is how large a blob of a table may become before the next begins:
// blobs are read and verified whole. What is written at once stays together.
const blobBytes = 64 << 20

// recipeOf is a recipe as results tell it.
func recipeOf(p cache.Preimage) *record.Recipe {
	r := &record.Recipe{Digest: p.Digest()}
	for _, f := range p {
		r.Fields = append(r.Fields, record.RecipeField(f))
	}
	return r
}

// tableTask collects what a whole-table stage writes, or a part of its work.
type tableTask struct {
	store     *cache.Store
	kind      *Kind // whose outputs may be written; nil: any
	outputs   map[string]*tableWriter
	blobBytes int64
}

func newTableTask(store *cache.Store, kind *Kind) *tableTask {
	return &tableTask{store: store, kind: kind, outputs: map[string]*tableWriter{}, blobBytes: blobBytes}
}

func (t *tableTask) open(port string, schema *arrow.Schema) (Writer, error) {
	if t.kind != nil {
		if _, ok := t.kind.Output(port); !ok {
			return nil, fmt.Errorf("stage kind %s declares no output %q", t.kind.Name, port)
		}
	}
	if t.outputs[port] != nil {
		return nil, fmt.Errorf("output %q is opened twice", port)
	}
	w := &tableWriter{store: t.store, schema: schema, most: t.blobBytes}
	if err := w.begin(); err != nil {
		return nil, err
	}
	t.outputs[port] = w
	return w, nil
}

// finish gives the outputs, which must be those named.
func (t *tableTask) finish(ports []string) (map[string][]cache.Chunk, error) {
	out := map[string][]cache.Chunk{}
	for _, port := range ports {
		w := t.outputs[port]
		if w == nil || !w.closed || w.blob != nil {
			return nil, fmt.Errorf("the output %q was not written to the end", port)
		}
		out[port] = w.chunks
	}
	return out, nil
}

func (t *tableTask) abort() {
	for _, w := range t.outputs {
		if w.blob != nil {
			w.blob.Abort()
		}
	}
}

// tableWriter implements Writer. The blobs of a table that is not finished are
// garbage.
type tableWriter struct {
	store  *cache.Store
	schema *arrow.Schema
	most   int64 // bytes of a blob
	chunks []cache.Chunk
	blob   *cache.BlobWriter // being written
	file   *record.Writer
	closed bool
}

func (w *tableWriter) begin() (err error) {
	if w.blob, err = w.store.NewBlob(); err != nil {
		return err
	}
	if w.file, err = record.NewWriter(w.blob, w.schema); err != nil {
		w.blob.Abort()
		w.blob = nil
	}
	return err
}

func (w *tableWriter) end() error {
	if err := w.file.Close(); err != nil {
		return err
	}
	c, err := w.blob.Commit(w.file.Rows())
	w.blob = nil
	if err == nil {
		w.chunks = append(w.chunks, c)
	}
	return err
}

var errEnded = errors.New("the output could not be written before")

func (w *tableWriter) Write(rec arrow.Record) error {
	if w.closed {
		return errors.New("write to an output that is closed")
	}
	if w.blob == nil {
		return errEnded
	}
	if w.file.Rows() > 0 && w.blob.Size() >= w.most {
		if err := w.end(); err != nil {
			return err
		}
		if err := w.begin(); err != nil {
			return err
		}
	}
	return w.file.Write(rec)
}

func (w *tableWriter) Close() error {
	if w.closed {
		return errors.New("an output is closed twice")
	}
	if w.blob == nil {
		return errEnded
	}
	w.closed = true
	return w.end()
}
