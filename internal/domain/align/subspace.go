package align

import (
	"context"

	"github.com/tlpipe/tlpipe/internal/domain"
	"github.com/tlpipe/tlpipe/internal/eigen"
	"github.com/tlpipe/tlpipe/internal/vector"
)

// subspace is subspace alignment (Fernando, Habrard, Sebban and Tuytelaars 2013): both domains are described by their own
// principal axes P_s and P_t, and the source's are turned towards the target's by P_sᵀP_t. The target's rows are (x−mean_t)·P_t, the
// source's (x−mean_s)·P_s·P_sᵀP_t.
func subspace() Method {
	return Method{
		Name: "subspace", Summary: "describes both domains by their principal axes and turns those of the source towards those of the target", Takes: []string{"components"},
		fit: func(_ context.Context, t *task) (domain.Alignment, error) {
			s := newSpace(t)
			k := min(orDefault(t.Components, 20), s.dims, s.source.rows()-1, s.target.rows()-1)
			_, from := eigen.Leading(s.pool, s.covariance(&s.source), s.dims, k)
			_, to := eigen.Leading(s.pool, s.covariance(&s.target), s.dims, k)
			turned := make([]float64, k*s.dims)
			for i := range k {
				for j := range k {
					axis := from[j*s.dims : (j+1)*s.dims]
					vector.Axpy(vector.Dot(axis, to[i*s.dims:(i+1)*s.dims]), axis, turned[i*s.dims:(i+1)*s.dims])
				}
			}
			return domain.Alignment{
				Source: s.affine(turned, k, s.source.mean, nil),
				Target: s.affine(to, k, s.target.mean, nil),
			}, nil
		},
	}
}
