// Package strategy has the fine-tuning strategies and their form in YAML.
//
//   - A [Strategy] is a list of phases. A [Phase] trains a fixed set of layers, each at its rate.
//   - A [Selection] is the set of layers that a phase's names and patterns select in a network.
//   - Blocks, the top-level scopes of a network's names, measure its depth.
//   - [Learning] has the general training settings: batches, optimizer, schedule, stopping.
package strategy
