package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// shownFiles is how many of the rows that came, went or changed a plan names.
const shownFiles = 3

// changedRows tells how the rows of a source differ from those of the run before: which came, which went, and which are known by
// name and have another content. It is "" if that cannot be told.
func (w *nodePlan) changedRows(ctx context.Context, before cache.LatestNode) string {
	old := map[string]bool{}
	for _, port := range []string{w.node.Kind.Outputs[0].Name, RejectsPort} {
		chunks, err := w.Store.Chunks(before, port)
		if err != nil {
			return ""
		}
		if len(chunks) == 0 {
			continue
		}
		for rec, err := range NewArtifact(w.Store, port, nil, chunks).Select(record.ID).Batches(ctx) {
			if err != nil {
				return ""
			}
			for i := range int(rec.NumRows()) {
				old[strings.Clone(rec.Column(0).ValueStr(i))] = true
			}
		}
	}
	var came, went, changed []string
	fresh := map[string]bool{}
	for _, id := range w.listed {
		if !old[id] {
			came = append(came, id)
			fresh[id] = true
		}
		delete(old, id)
	}
	for _, id := range w.absent {
		if !fresh[id] {
			changed = append(changed, id)
		}
	}
	for id := range old {
		went = append(went, id)
	}
	slices.Sort(went)
	var parts []string
	for _, c := range []struct {
		ids  []string
		what string
	}{{came, "came"}, {went, "went"}, {changed, "changed"}} {
		if len(c.ids) == 0 {
			continue
		}
		shown := strings.Join(c.ids[:min(len(c.ids), shownFiles)], ", ")
		if len(c.ids) > shownFiles {
			shown += ", …"
		}
		parts = append(parts, fmt.Sprintf("%d %s (%s)", len(c.ids), c.what, shown))
	}
	return strings.Join(parts, ", ")
}
