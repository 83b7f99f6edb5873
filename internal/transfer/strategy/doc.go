// Package strategy has the words for how a network is fine-tuned, as pipelines spell them.
//
//   - A [Strategy] is a list of phases. In a [Phase] the same layers learn, each at its rate.
//   - A [Selection] is what a phase's names and patterns come to in a network: the layers that learn.
//   - Blocks, the scopes at the top of a network's names, count its depth.
//   - [Learning] is how anything learns, whatever it is: batches, optimizer, schedule, stopping.
package strategy
