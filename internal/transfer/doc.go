// Package transfer trains networks by transfer: a head on features, or a backbone and a head on pictures, in phases. It
// is what stages that train are made of; they add ports, parameters of their own and what is written of the outcome.
//
// The words:
//
//   - The head is a small network from features to a probability for each
//     class: some hidden layers, a dense layer that gives the logits, a softmax.
//     In a network with a backbone its layers stand in the scope "classifier".
//   - A [Strategy] is a list of phases. In a [Phase] the same layers learn, each
//     at its rate; a selection is what its names and patterns come to in a
//     network. Blocks, the scopes at the top of a network's names, count its depth.
//   - The prefix of a phase is what lies below the lowest layer that learns,
//     up to a layer that everything goes through: its cut. It does not change, so
//     what it puts out, the activations, is computed once for each row.
//   - Training rows are all rows of split train, augmented copies included.
//     Validation rows are those of split val, the pictures themselves and not
//     their copies. Rows of split test are never looked at.
//   - Classes are the labels of the training rows, sorted by name, or those of
//     the model that is gone on with.
//   - The best weights are those of the epoch with the best validation metric;
//     the last are those at the end. Both are written.
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
// Rows of features are held in memory, 4 bytes a number, and up to twice that while they are read:
// 10,000 rows of 1280 features take 51 MB, then 100 MB. Pictures and activations are read where they
// rest.
//
// The training itself is package train's: deterministic, and the same after a
// kill as without one.
//
// Where things are: setup.go has the parameters and the entry points, strategy.go the strategies, phase.go which layers
// learn, training.go the phases one after the other, recipe.go what decides a phase, handover.go what one gives to the
// next, prefix.go where to cut, activations.go what is cached there, data.go and pictures.go the rows, network.go and
// head.go the networks, summary.go, diagnostics.go and source.go what is reported.
package transfer
