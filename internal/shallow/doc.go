// Package shallow fits classifiers that converge, on features held in memory: no learning rate, no epochs, the same result
// for any number of threads.
//
// The terms:
//
//   - [Rows] are feature vectors with the number of their class.
//   - A [Kind] is a sort of classifier: [Kinds] lists them. A [Classifier] is one that was fitted; it becomes a network.
//   - A [Linear] classifier is what a dense layer with a softmax computes: a weight vector and a bias for each class.
//   - The penalty λ of logistic regression weighs the squared weights against the sum of the rows' losses; scikit-learn's
//     C is 1/λ.
//   - A step is a candidate that was tried: a penalty, a number of neighbours.
//   - A path is a series of penalties, each fit started from the one before ("warm"). Which is taken, a validation set says,
//     or cross-validation on the training rows: the one with the least mean log loss, and of equals the strongest. Penalties
//     are compared at a gradient of 1e-4, scikit-learn's tolerance; the one taken is then fitted to 1e-6.
//   - Leaving out is cross-validation with as many folds as there are pictures, of ridge in closed form.
package shallow
