// Package drift detects whether a batch of new rows is shifted from the rows that a model was validated on, from the model's
// predictions alone.
//
//   - The reference of a model is a sample of its predictions for rows that it did not learn from, which is stored with it.
//   - A batch is the predictions for new rows, at least [Least] of them.
//   - The profile of a prediction is a few numbers: the probability of each class, or of groups of classes where there are many,
//     and the highest of all.
//   - The test compares reference and batch by the largest Kolmogorov-Smirnov distance of a number of the profile, and takes
//     its p-value from random divisions of all rows. If the rows come from the same distribution, a batch is reported as shifted
//     with a probability of at most [Level], whatever the distribution, the model, and the sizes are.
//
// Tests on the predictions of a classifier detected shifts best in the comparison by Rabanser, Günnemann and Lipton
// (arXiv:1810.11953). They cannot tell why: different pictures, or different class proportions.
package drift
