// Package rows reads training data: rows of features, or images.
//
//   - Training rows are all rows of split train, including augmented copies.
//   - Validation rows are those of split val, without augmented copies. Rows of
//     split test are never used.
//   - The task follows from the target column: one class, several classes, or numbers. Rows
//     with an unknown target are ignored.
//   - Classes are those of the training rows, sorted by name, or those of the model whose training is continued.
//
// Rows of features are held in memory, 4 bytes a number, and up to twice that while they are read:
// 10,000 rows of 1280 features take 51 MB, and up to 100 MB while read. Images are read from the cache on demand.
package rows
