// Package align has the alignments of two domains that are computed in closed form: of second moments (CORAL), of principal
// subspaces (SA), by transfer components (TCA) and by joint distributions (JDA).
//
// The terms:
//
//   - A [Method] makes a [domain.Alignment] of rows of both domains: an affine map for each. [Methods] lists them.
//   - Features are standardised unless they are to be taken raw: brought to mean 0 and variance 1, each domain by its own rows.
//   - The scatter of rows is Σ (x−mean)(x−mean)ᵀ, the covariance that divided by the number of rows less one.
//   - The joint space is spanned by the rows of both domains about their common mean. If there are fewer rows than features,
//     all is computed in it, in as many dimensions as it has. That changes no result.
//   - The discrepancy of two domains is the squared distance of their means: MMD with the linear kernel.
//
// TCA and JDA are in the linear form, on features themselves ("primal" in the authors' programs): the equations have as many
// unknowns as there are features, whatever the number of rows, so no rows are left out and no kernel matrix is held. The forms
// with a Gaussian kernel are not here.
//
// Everything is summed in float64, in an order that does not depend on the number of threads. Scatter of more than 2²⁹
// multiply-adds is of products in float32 whose sums over blocks of rows are in float64. Square roots of covariances of more
// than 768 dimensions are found by iteration in float32.
package align
