// Package emit writes networks as .keras files, of layers that Keras 3 has, so that keras.models.load_model needs no code beside it.
//
// A file takes the pixels of pictures, uint8 [n, height, width, 3] in RGB, normalises them, and gives probabilities or numbers. The
// network is that which was trained: batch-norms and dropouts are layers of their own, adapters are merged. Padding that is neither
// "same" nor "valid" is a ZeroPadding2D; before a maximum it is right where no value can be negative, and refused elsewhere.
//
// metadata.json has the names of the classes and what else the model tells of itself, under keys that Keras does not look at.
package emit
