package adapt

import (
	"context"

	"github.com/tlpipe/tlpipe/internal/domain"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/projection"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
)

// mostPoints is how many rows of each domain a map shows, at most.
const mostPoints = 400

// maps draws rows of both domains as points of a plane. Classes of the target's rows are not told.
func (r *run) maps(ctx context.Context, when string, source, target domain.Features) (out []record.MapPoint, err error) {
	var points []record.MapPoint
	all := domain.Features{Width: source.Width}
	for _, side := range []struct {
		of       domain.Features
		domain   int32
		isSource bool
	}{{source, rows.Sampled, true}, {target, objective.TargetDomain, false}} {
		positions := r.positionsOf(side.domain)
		n := min(len(positions), mostPoints)
		for i := range n {
			at := i * len(positions) / n
			all.Values = append(all.Values, side.of.Row(at)...)
			p := record.MapPoint{When: when, ID: r.rows.Validation.IDs[positions[at]], Domain: r.rows.Validation.Names[positions[at]], Source: side.isSource}
			if side.isSource {
				p.Class = r.rows.Classes[r.rows.Validation.Oracle[positions[at]]]
			}
			points = append(points, p)
		}
	}
	const least = 8
	if len(points) < least {
		return nil, nil
	}
	linear, _, err := projection.PCA(all.Values, all.Width, r.task.Threads)
	if err != nil {
		return nil, err
	}
	near, err := projection.TSNE(ctx, all.Values, all.Width, projection.Options{Seed: r.task.Seed, Threads: r.task.Threads})
	if err != nil {
		return nil, err
	}
	for _, drawn := range []struct {
		method string
		at     []projection.Point
	}{{"pca", linear}, {"tsne", near}} {
		for i, p := range points {
			p.Method, p.X, p.Y = drawn.method, drawn.at[i].X, drawn.at[i].Y
			out = append(out, p)
		}
	}
	return out, nil
}
