// Package discrepancy has losses that look at all rows of a batch at once, each with its gradient, in float64: how far
// two samples lie apart, and how sure and how varied the answers to a sample are.
//
//   - A [Sample] is the rows of a matrix that are of one domain, with memory for their gradient.
//   - The maximum mean discrepancy ([MMD]) is the distance of the means of two samples in the space of a kernel; the
//     joint one is that of several layers at once, whose kernels are multiplied ([JMMD]).
//   - Correlation alignment ([CORAL]) is the distance of their covariances.
//   - The others are of answers, as logits of several classes: [ClassConfusion], [Information].
//
// Gradients are added to the memory that is given for them.
package discrepancy
