// Package finetune is the stage that trains classifiers: a head on features, or a backbone and a head on pictures. The
// training itself is package transfer's; here are the stage's ports and what it writes.
package finetune
