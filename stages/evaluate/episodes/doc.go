// Package episodes is the kind of stage that measures how well features tell new classes apart from a handful of examples
// each. Package fewshot has the methods and what an episode is.
package episodes
