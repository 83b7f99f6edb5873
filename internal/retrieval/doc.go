// Package retrieval measures how well rows find those that belong to them by the cosine of their features.
//
// # Terms
//
//   - A query is a row that others are looked for with; the gallery is the rows among which they are looked for.
//   - A row of the gallery is relevant to a query if the two have the same key, such as a class, or the pair that a picture and its
//     caption are. A query without a relevant row is not asked.
//   - A row of the gallery may be left out for some queries: the query itself, or other pictures of the same object.
//   - The rank of a relevant row is 1 plus the number of other rows that are as similar to the query or more, so that ties count
//     against the answer: features that are all alike find nothing. Of relevant rows that are equally similar, each comes after the other once.
package retrieval
