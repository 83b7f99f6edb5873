// Package rows reads what a training learns from: rows of features, or pictures.
//
//   - Training rows are all rows of split train, augmented copies included.
//   - Validation rows are those of split val, the pictures themselves and not their copies. Rows of
//     split test are never looked at.
//   - What is learned of a row follows from the column: one class, any of several classes, or numbers. Rows
//     of which nothing is known are left out.
//   - Classes are those of the training rows, sorted by name, or those of the model that is gone on with.
//
// Rows of features are held in memory, 4 bytes a number, and up to twice that while they are read:
// 10,000 rows of 1280 features take 51 MB, then 100 MB. Pictures are read where they rest.
package rows
