// Package finetune trains a classifier head on features.
//
// The words:
//
//   - The head is a small network from features to a probability for each
//     class: some hidden layers, a dense layer that gives the logits, a softmax.
//   - Training rows are all rows of split train, augmented copies included.
//     Validation rows are those of split val, the pictures themselves and not
//     their copies. Rows of split test are never looked at.
//   - Classes are the labels of the training rows, sorted by name.
//   - The best weights are those of the epoch with the best validation metric;
//     the last are those at the end. Both are written.
//
// All rows in use are held in memory, 4 bytes a number, and up to twice that
// while they are read: 10,000 rows of 1280 features take 51 MB, then 100 MB.
//
// The training itself is package train's: deterministic, and the same after a
// kill as without one.
package finetune
