// Package transfer implements transfer learning: it trains a head on features, or a backbone and a head on images, in
// phases. Stages that train are built on it; they add ports, parameters of their own and the output of the results.
//
// Terms:
//
//   - A [Setup] is a training whose parameters have been checked; an [Outcome] is its result.
//   - A phase, of a strategy (package strategy), is a part of a training in which a fixed set of layers is trained. It
//     hands on the tensors that training has changed so far: the best, those of the epoch with the best validation
//     metric, or the last. Both are written.
//   - The head (package head) is the classifier; in a network with a backbone it is in the scope "classifier".
//   - The prefix of a phase (package prefix) is the part of the network below all trained layers. It does not change, so
//     its output, the activations, is computed once for each row.
//   - Training and validation rows are those of package rows; rows of split test are never used.
//   - A diagnostic describes how well the transfer worked: overfitting, drift of the features, forgetting.
//
// A phase is a part of a stage's work and cached separately, and so are the activations of each
// chunk of the images. The recipe of a phase contains the starting point of the training and the settings
// of the phase; its inputs are the data and the tensors handed on by the previous phase. Changing the
// rate of the last phase therefore leaves earlier phases cached, and stages share phases that they have in
// common. Activations are keyed by the layers below the cut and their weights: all stages and
// phases that freeze the same layers share them. When they have to be computed, those that
// later phases will need at lower cuts are written in the same pass through the network; the output of a cut
// does not depend on that.
//
// The training itself is done by package train: deterministic, and with the same result after a
// kill as without one.
//
// Files: setup.go has the parameters and the entry points, training.go the sequence of phases,
// recipe.go the recipe of a phase, handover.go what one phase hands to the next, network.go and backbone.go the trained
// network, encoder.go and tokens.go networks for texts, summary.go, diagnostics.go and source.go what is reported.
package transfer
