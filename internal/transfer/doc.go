// Package transfer trains networks by transfer: a head on features, or a backbone and a head on pictures, in phases. It
// is what stages that train are made of; they add ports, parameters of their own and what is written of the outcome.
//
// The words:
//
//   - A [Setup] is a training whose parameters have been checked; an [Outcome] is what it gave.
//   - A phase, of a strategy (package strategy), is a stretch of a training in which the same layers learn. It hands on
//     the tensors that training has changed so far: the best, those of the epoch with the best validation metric, or
//     the last. Both are written.
//   - The head (package head) is the classifier; in a network with a backbone it stands in the scope "classifier".
//   - The prefix of a phase (package prefix) is what lies below all that learns. It does not change, so what it puts
//     out, the activations, is computed once for each row.
//   - Training and validation rows are those of package rows; rows of split test are never looked at.
//   - A diagnostic tells how well the transfer went: overfitting, drift of the features, forgetting.
//
// A phase is a part of a stage's work and cached by itself, and so are the activations of each
// chunk of the pictures. The recipe of a phase says what the training started with, what the phase
// does and how; its inputs are the data and the tensors that the phase before handed on. So another
// rate in the last phase leaves those before it alone, and stages share phases that they have in
// common. The activations are known by the layers below the cut and their weights: all stages, and
// all phases, that freeze the same layers share them. When they have to be computed, those that
// later phases will need lower down are written in the same run of the network; what a cut gives
// does not depend on that.
//
// The training itself is package train's: deterministic, and the same after a
// kill as without one.
//
// Where things are: setup.go has the parameters and the entry points, training.go the phases one after the other,
// recipe.go what decides a phase, handover.go what one gives to the next, network.go and backbone.go the network that is
// trained, summary.go, diagnostics.go and source.go what is reported.
package transfer
