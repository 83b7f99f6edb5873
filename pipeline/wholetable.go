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
	for _, s := range nr.outputs {
		s.expect(1)
	}
	work := nr.work(refs, nil)
	work.Here = func(ctx context.Context) (e cache.Entry, err error) {
		out := &tableTask{store: nr.x.Store, kind: &nr.node.Kind, outputs: map[string]*tableWriter{}}
		defer out.abort()
		var parts ledger
		if err := stage.Run(ctx, nr.task(work.Key, inputs, out, &parts)); err != nil {
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
	return nr.accept(ctx, e, 0, rows, computed, nr.again(work))
}

// tableTask collects what a whole-table stage writes, or a part of its work.
type tableTask struct {
	store   *cache.Store
	kind    *Kind // whose outputs may be written; nil: any
	outputs map[string]*tableWriter
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
	blob, err := t.store.NewBlob()
	if err != nil {
		return nil, err
	}
	w, err := record.NewWriter(blob, schema)
	if err != nil {
		blob.Abort()
		return nil, err
	}
	t.outputs[port] = &tableWriter{blob: blob, file: w}
	return t.outputs[port], nil
}

// finish keeps the outputs, which must be those named.
func (t *tableTask) finish(ports []string) (map[string][]cache.Chunk, error) {
	out := map[string][]cache.Chunk{}
	for _, port := range ports {
		w := t.outputs[port]
		if w == nil || !w.closed {
			return nil, fmt.Errorf("the output %q was not written to the end", port)
		}
		c, err := w.blob.Commit(w.file.Rows())
		w.blob = nil
		if err != nil {
			return nil, err
		}
		out[port] = []cache.Chunk{c}
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

// tableWriter implements Writer.
type tableWriter struct {
	blob   *cache.BlobWriter
	file   *record.Writer
	closed bool
}

func (w *tableWriter) Write(rec arrow.Record) error {
	if w.closed {
		return errors.New("write to an output that is closed")
	}
	return w.file.Write(rec)
}

func (w *tableWriter) Close() error {
	if w.closed {
		return errors.New("an output is closed twice")
	}
	w.closed = true
	return w.file.Close()
}
