// Package wordvectors reads tables of word vectors that were trained before, and makes vectors of texts of them.
//
// # Terms
//
//   - A [Table] is pieces of text, words or tokens, and a vector of each. [Read] reads GloVe's text, the text and binary forms of
//     word2vec, fastText's .vec, and static embeddings in safetensors with a tokenizer beside them, as WordLlama's.
//   - [Builtin] is the table in tlpipe: the 20,000 most frequent words of GloVe 6B with 100 numbers each, in 8 bits.
//   - The mean of a text's vectors is its simplest encoder. SIF weighs each with a/(a + p), where p is the word's share of all words
//     (Arora, Liang and Ma, "A Simple but Tough-to-Beat Baseline for Sentence Embeddings", 2017); [RemoveCommon] takes the direction
//     that all texts share away from them, as the paper does.
//
// Files are not trusted: sizes that they state are held against their own.
package wordvectors
