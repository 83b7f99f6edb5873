// Package domain has what domain adaptation talks about: rows of two domains, and what methods, measures and
// validators take and give.
//
//   - A domain is a distribution of rows: photographs, last year's scanner. The value of the column "domain" names it.
//   - The source is the domain, or the domains, whose rows are labelled. The target is the domain that a model is to be
//     used on; its rows have no labels, few, or all. Labels of target rows that no method asked for are not looked at.
//   - The shift is how far the two distributions lie apart. Package shift measures it, and draws maps of both.
//   - An alignment maps the rows of both domains into a space in which they lie closer together. Package align has those
//     that are computed in closed form from matrices of features; see [Alignment].
//   - A validator is a number that tells how good a model is on the target without its labels, from what the model
//     says of the rows of both domains: [Evidence]. Package validator has them. They choose between methods, settings
//     and epochs; the oracle, the choice by the target's labels, is only ever reported, and called so.
//   - A method is a way of adapting: package method has the networks, objectives and schedules of those that learn by
//     gradient descent.
//
// Feature matrices are float32, row by row; what is computed from them is summed in float64, in an order that does not
// depend on the number of threads.
package domain
