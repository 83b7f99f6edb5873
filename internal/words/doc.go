// Package words cuts text into words, as tables of word vectors list them, and gives them ids.
//
// # Terms
//
//   - A word is a run of letters, marks and digits in lower case, in Unicode's normal form C. A contraction is two words, as
//     in the Penn Treebank, on which GloVe's vocabulary rests: "don't" is "do" and "n't", "mail's" is "mail" and "'s".
//     Numbers keep the points and commas between their digits. Ideographs are words by themselves. Punctuation is none.
//   - A [Vocabulary] is the words that are known. A word's id is its place there plus [FirstWord]; [Padding] stands for no
//     word, and [Unknown] for all that the vocabulary does not have.
package words
