// Package adapt is the stage that trains a classifier on labelled rows of a source and rows of a target that have no
// labels, or few. It trains the candidates, methods and learning rates, with the baseline direct among them, lets
// validators choose between them without the target's labels, and tells how far the domains lie apart.
//
// The methods are those of packages internal/domain/method and internal/domain/align, the training that of
// internal/transfer; here are the parameters, the ports, the choice and what is written.
package adapt
