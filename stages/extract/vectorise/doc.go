// Package vectorise is the stage that makes features of texts without a network: the terms that they have (package tfidf), or the
// mean of pre-trained vectors of their words (package wordvectors).
package vectorise
