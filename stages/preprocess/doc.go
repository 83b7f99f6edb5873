// Package preprocess is the stage that brings pictures in: it lists sources,
// divides the rows into splits, and turns each picture into a tensor of the
// size and normalisation that a backbone wants.
//
// The words:
//
//   - A source is where pictures come from: see package dataset. Several may be
//     joined, each with a domain.
//   - A split is train, val or test. The source gives it, or a stable hash of
//     the row's id (or of a group column) does: see [Split].
//   - A fit brings a picture to Height × Width: see package picture.
//   - A look changes the pixels of a source's pictures, to make a domain of its own: see package render.
//   - The kind vectors reads rows of numbers that are features already: see [dataset.Vectors].
//   - Stored pixels are RGB bytes with the normalisation still to be applied
//     (`store: uint8`, a quarter of the space), or floats with it applied. The
//     numbers that reach a network are the same.
package preprocess
