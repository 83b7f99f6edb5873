// Package metrics measures models: pure functions from classes and
// probabilities, or numbers, to numbers, with intervals and tests.
//
// The words:
//
//   - A [Sample] is what a classifier answered on rows whose class is known:
//     for each row the true class and a probability for every class. Classes
//     are numbered from 0. The predicted class is the most probable, the first
//     of them in a tie.
//   - A [MultiLabel] is what a model answered on rows that any of several classes may apply to; a
//     [Regression], what it answered where the truth is a number.
//   - Every statistic takes the rows' weights; nil weighs all alike. That is
//     how a [Bootstrap] resamples without copying rows: a row drawn three
//     times weighs 3.
//   - A cluster is a set of rows that are not independent of one another, such
//     as pictures of one object. Resampling then draws clusters, not rows
//     (Davison and Hinkley, Bootstrap Methods and their Application, 1997,
//     3.8); drawing rows would count each object several times over and give
//     intervals that are too narrow. McNemar's test knows no clusters: with
//     them its p-value is too small, and the interval of the difference is the
//     one to trust.
//
// Definitions agree with scikit-learn wherever it has the statistic, and are
// tested against it. Statistics that have no value (the recall over no rows)
// are NaN.
//
// A percentile interval has no width where every resample gives the same
// number, as when all rows are right. It says nothing then about how often
// errors too rare for the sample occur; [Wilson] does, and of differences
// [PairedDifference]. The calibration error
// of a resample is on average larger than the sample's own, so its interval
// reaches further up than down.
package metrics
