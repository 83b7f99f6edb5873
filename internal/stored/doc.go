// Package stored says what a tensor is while it rests in a file: a name, a type, a shape, and where
// its numbers are. Readers of formats make a [Tensor] for everything that a file holds; its numbers are read when
// they are asked for, and become float32 then.
package stored
