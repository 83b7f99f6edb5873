// Package retrieval is the stage that measures how well rows of a split find those that belong to them: rows of the same class, or
// what they are paired with in another table, such as captions of pictures. The measuring itself is package retrieval's of internal.
package retrieval
