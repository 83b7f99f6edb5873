// Package frozen computes networks whose weights do not change: backbones and trained heads.
//
// # Terms
//
//   - A [Program] is a network compiled with its weights: a list of steps. It is immutable and
//     shared by all goroutines.
//   - A step is one kernel call. A convolution's step also includes, where possible, the layers after
//     it: a batch-norm (folded into the weights), the addition of a residual, an activation.
//   - A value is the output of a layer, or of several fused ones: a tensor in a buffer of the arena,
//     or a range of channels in the buffer of the concatenation that it is part of.
//   - The arena is the memory of all buffers. Buffers whose values are not live at the same time
//     share memory.
//   - A reduced precision computes convolutions with smaller number types where that is faster. Its values
//     are bfloat16 or quantized uint8; a step converts where the producer and the consumer of a
//     value differ.
//   - A quantisation range gives the numbers that the bytes of a value represent: from minimum to maximum
//     in 255 steps. Calibration determines the ranges on examples.
//   - A [Session] is the memory to run a program: an arena and the kernels' workspace. Each
//     goroutine has its own.
//   - A program of sequences is compiled from a network of which the axis of the tokens varies. Its examples come without
//     padding, the tokens of all one after the other: [Session.RunSequences].
//
// What a program computes for an example does not depend on the others of its batch, nor on the
// number of threads.
package frozen
