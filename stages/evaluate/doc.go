// Package evaluate measures trained models on rows they have not seen, next to
// baselines that any model has to beat, and tests whether models differ by
// more than chance.
//
// The words:
//
//   - A candidate is whatever answers rows: a trained model or a baseline. All
//     candidates are measured alike.
//   - The baselines see what the models saw in training, the rows of split
//     train with their augmented copies: the majority class knows labels only,
//     the nearest centroid is the simplest use of the features, logistic regression
//     the best that is linear: on the features that models take or, of
//     fine-tuned networks, on those that their backbone made before training.
//   - An upper bound is a baseline that learned from labels which the models did without: nearest
//     centroid and logistic regression on the target's rows, where models are of stage adapt.
//   - A candidate answers the rows of one split, the pictures themselves and not
//     their augmented copies. Rows without a label, or of a class that the
//     candidate does not know, are answered but not scored; the metrics table
//     counts them as unlabelled and unknown_label.
//   - Duplicates are rows measured on that look like a row of another split, by
//     the perceptual hashes that preprocess makes: a model may know them by heart.
//   - Label errors are rows, of any split, whose label is probably wrong, by confident
//     learning on answers of logistic regression that was not fitted to the row.
//   - Each model is paired with the data whose matrix coordinates agree with
//     its own; one data input serves all models; lists without coordinates
//     pair by position.
//
// Intervals are percentiles of a bootstrap over rows, or over clusters of rows
// if a column is named whose equal values belong together: pictures of one
// object are not independent, and intervals that took them to be would be too
// narrow. Where every resample gives the same number, as when all rows are
// right, shares of rows have Wilson's interval, differences Newcombe's, other
// numbers none.
package evaluate
