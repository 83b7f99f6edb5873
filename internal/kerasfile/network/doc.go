// Package network makes networks of .keras files, to hold a file that was written against the model that it is of. It knows the
// layers that package emit writes, by the definitions of Keras 3 (https://keras.io/api/layers), and no more.
package network
