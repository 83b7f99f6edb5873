// Package validator tells how good a model may be on the target without looking at the target's labels, to choose between
// methods, settings and epochs.
//
// The terms:
//
//   - A [Validator] makes a [domain.Score] of a model's [domain.Evidence]. [All] lists them.
//   - The prediction of a row is the probabilities that the model gives its classes.
//   - A model has collapsed if it gives nearly all rows of the target one class. The density of neighbourhoods takes
//     that for success, so it says then that it cannot tell.
//   - The importance of a row of the source is how much likelier it is in the target. A classifier that tells the domains apart
//     estimates it.
//   - The ensemble is the mean of a model's ranks by several validators among the models that are compared: [Ensemble].
//
// The sources are Musgrave, Belongie and Lim, "Three New Validators and a Large-Scale Benchmark Ranking for Unsupervised Domain
// Adaptation" (arXiv:2208.07360), whose finding it is that the source's validation accuracy is hard to beat, and the papers named
// at each.
package validator
