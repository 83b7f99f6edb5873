// Package starter writes a first pipeline for data of a user's. It looks at what there is, pictures or texts, which gives
// facts (rows, classes, sizes, splits, domains), makes choices by the rules of docs/finetune.md and docs/defaults.md, and writes each with its reason
// as a comment. Nothing is decided by how well a model does: no label is used but to count rows.
package starter
