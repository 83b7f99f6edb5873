// Package contrastive is the stage that brings two tables of features into one space: pictures and their captions, say. It trains a
// projection of each, so that rows that belong together are near, and far from all others.
//
//   - A pair is a row of the first table and a row of the second with the same value of the column that params.by names, the key.
//   - Negatives of a pair are the rows of all other pairs of its batch.
//   - A side is one of the two tables, with its projection.
package contrastive
