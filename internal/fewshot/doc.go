// Package fewshot classifies pictures of classes that nothing was trained on, from a handful of examples each, and draws the
// episodes on which that is measured.
//
// # Terms
//
//   - An episode is a small classification task: Way classes, of which Shot examples each are known, the support, and others,
//     the queries, whose class is asked for (Vinyals et al., Matching Networks, 2016).
//   - An object is what several rows are pictures of. Support and queries of an episode share no object.
//   - A method tells the class of queries from the support. It is inductive if it looks at each query by itself, and
//     transductive if it looks at all queries of an episode together, which is easier and has to be said.
//   - A prototype is the mean of a class's support.
//   - Base features are those of classes that are in no episode. Some methods subtract their mean.
//   - In an open episode some queries are of none of its classes; a method says how sure it is that a query is of one.
package fewshot
