// Package projection draws rows of many numbers as points of a plane, for maps in reports.
//
//   - [PCA] is linear: the two directions of most variance.
//   - [TSNE] keeps neighbours together: rows that are alike lie close. Distances between groups, and their sizes, mean little.
//
// Equal rows and settings give equal points, for any number of threads.
package projection
