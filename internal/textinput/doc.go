// Package textinput carries out the transforms of texts, from the bytes of a file to what a network takes, as package picture does
// those of pictures.
//
// # Terms
//
//   - A [Tokeniser] cuts texts into tokens: the words of a vocabulary, or what the tokenizer of an encoder makes.
//   - A [Vectoriser] makes features of texts: the weights of terms (package tfidf), or a mean of the vectors of their words
//     (package wordvectors).
//   - A [Preparation] is the transforms of a stored model, ready to be carried out.
//
// The stages that train and what runs a stored model on new texts use the same code: what a text becomes is the same to the bit.
package textinput
