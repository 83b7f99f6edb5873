// Package confident finds rows whose label is probably wrong, by confident
// learning (Northcutt, Jiang and Chuang, "Confident Learning: Estimating
// Uncertainty in Dataset Labels", Journal of Artificial Intelligence Research 70,
// 2021, arXiv:1911.00068).
//
// The words:
//
//   - The given class of a row is its label, which may be wrong. Its probabilities are
//     those of a classifier that was not fitted to the row.
//   - The threshold of a class is the mean probability of the class over the rows that
//     are labelled so: how sure the classifier is of the class where it is right, roughly.
//   - The confident joint counts the rows by given class and by the class that they are
//     confidently of: the most probable of those that reach their threshold.
//   - An issue is a row that is likely to be of another class than it is labelled.
package confident
