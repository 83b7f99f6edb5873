// Package drift tells whether a batch of new rows is shifted against the rows that a model was validated on, by what the model
// answers alone.
//
//   - The reference of a model is a sample of its answers to rows that it did not learn from, which is stored with it.
//   - A batch is the answers to new rows, at least [Least] of them.
//   - The profile of an answer is a few numbers: the probability of each class, or of groups of classes where there are many,
//     and the greatest of all.
//   - The test compares reference and batch by the largest Kolmogorov-Smirnov distance of a number of the profile, and takes
//     its p-value from random divisions of all rows. If the rows come from the same distribution, a batch is told to be shifted
//     with a probability of [Level] at most, whatever the distribution, the model, and the sizes are.
//
// Tests on the answers of a classifier found shifts best in the comparison by Rabanser, Günnemann and Lipton
// (arXiv:1810.11953). They cannot tell why: other pictures, or classes in other shares.
package drift
