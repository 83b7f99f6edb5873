// Package frozen computes networks whose weights do not change: backbones and trained heads.
//
// # Words
//
//   - A [Program] is a network compiled with its weights: a list of steps. It is immutable and
//     shared by all goroutines.
//   - A step is one call of a kernel. A convolution's step also does what follows it in the
//     network where it can: a batch-norm (folded into the weights), the addition of a residual,
//     an activation.
//   - A value is what a layer, or several fused ones, puts out: a tensor in a buffer of the arena,
//     or a band of channels in the buffer of the concatenation it goes into.
//   - The arena is the memory of all buffers. Buffers whose values do not live at the same time
//     share their place.
//   - A reduced precision computes convolutions with smaller numbers where that is faster. Its values
//     are bfloat16 or quantized uint8; a step converts where those that make and those that
//     read a value differ.
//   - A range says what numbers the bytes of a value stand for: from the least to the greatest in 255
//     steps. Calibration finds the ranges on examples.
//   - A [Session] is the memory to run a program: an arena and the kernels' workspace. Each
//     goroutine has its own.
//
// What a program computes for an example does not depend on the others of its batch, nor on the
// number of threads.
package frozen
