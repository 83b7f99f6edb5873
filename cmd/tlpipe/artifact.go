package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// named is an artifact that was asked for by name.
type named struct {
	pipeline.Input
	kind  pipeline.PortKind // "" if it is not known
	bytes int64
}

// stageArtifact finds what FILE:STAGE[.PORT] means in the cache. kind may ask
// for a port of that kind.
func (p *program) stageArtifact(ctx context.Context, store *cache.Store, file, reference string, f pipelineFlags, kind pipeline.PortKind) (*named, error) {
	graph, err := p.load(file, f)
	if err != nil {
		return nil, err
	}
	node, port, err := graph.Find(reference, kind)
	if err != nil {
		return nil, err
	}
	runner := &pipeline.Runner{Store: store, Selection: pipeline.Selection{Until: []string{node.Name}}}
	plan, err := runner.Plan(ctx, graph)
	if err != nil {
		return nil, err
	}
	planned := plan.Nodes[slices.IndexFunc(plan.Nodes, func(n pipeline.PlanNode) bool { return n.Node == node })]
	if planned.State != pipeline.Cached {
		return nil, fmt.Errorf("stage %s is not in the cache (%s): `tlpipe run %s --until %s` computes it",
			node.Name, strings.Join(planned.Because, "; "), file, node.Declared.Name)
	}
	artifact := pipeline.NewArtifact(store, node.Name, node.Coordinates, planned.Outputs[port.Name])
	if port.Name == pipeline.RejectsPort {
		artifact = pipeline.NewRejects(store, node.Name, node.Coordinates, planned.Outputs[port.Name])
	}
	return &named{Input: artifact, kind: port.Kind, bytes: artifact.Bytes()}, nil
}

// digestArtifact finds the artifact or blob whose digest begins with prefix.
func digestArtifact(ctx context.Context, store *cache.Store, prefix string) (*named, error) {
	pipelines, err := store.Pipelines()
	if err != nil {
		return nil, err
	}
	found := map[string]*named{} // by digest
	for _, l := range pipelines {
		for _, n := range l.Nodes {
			for port, brief := range n.Outputs {
				a := pipeline.NewArtifact(store, n.Name+"."+port, nil, brief)
				if len(brief) == 0 || !strings.HasPrefix(a.Digest(), prefix) {
					continue
				}
				chunks, err := store.Chunks(n, port)
				if err != nil {
					return nil, err
				}
				a = pipeline.NewArtifact(store, n.Name+"."+port, nil, chunks)
				found[a.Digest()] = &named{Input: a, bytes: a.Bytes()}
			}
		}
	}
	blobs, err := store.FindBlobs(prefix)
	if err != nil {
		return nil, err
	}
	switch {
	case len(found)+len(blobs) == 0:
		return nil, usage("%s is not a FILE:STAGE, and no digest in the cache %s begins with it", prefix, store.Dir())
	case len(found)+len(blobs) > 1:
		return nil, usage("%d digests in the cache begin with %s: give more digits", len(found)+len(blobs), prefix)
	}
	for _, a := range found {
		return a, nil
	}
	// How many rows a blob has stands in what names it, or else in itself.
	raw, err := store.Blob(blobs[0])
	if err != nil {
		return nil, err
	}
	c := cache.Chunk{Digest: blobs[0], Bytes: int64(len(raw))}
	for rec, err := range record.Decode(raw) {
		if err != nil {
			return nil, fmt.Errorf("blob %s is not a table: %w", prefix, err)
		}
		c.Rows += rec.NumRows()
	}
	return &named{Input: pipeline.NewArtifact(store, "blob "+blobs[0][:12], nil, []cache.Chunk{c}), bytes: c.Bytes}, nil
}

// splitReference divides FILE:STAGE. Both may hold colons: the file is the
// shortest beginning that is one.
func splitReference(text string) (file, reference string, ok bool) {
	first := -1
	for i, r := range text {
		if r != ':' {
			continue
		}
		if first < 0 {
			first = i
		}
		if info, err := os.Stat(text[:i]); err == nil && !info.IsDir() {
			return text[:i], text[i+1:], true
		}
	}
	if first < 0 {
		return "", "", false
	}
	return text[:first], text[first+1:], true
}
