// Package bench measures how fast this program works on this machine.
//
// # Terms
//
//   - A run is one batch, one step of training, or one pipeline, from beginning to end. The first,
//     which fills caches and workspaces, is the warm-up and does not count.
//   - The speed of a measurement is that of its best run: on a machine that does other things as well,
//     the best is what comes nearest to the program's own speed. The median stands beside it.
//   - The latency of a stored model is the time from the bytes of a picture file to the prediction. It is told by
//     percentiles, since a program that waits for it meets the slow ones too.
//   - The peak is the fastest matrix product of this program on the same threads, measured in the
//     same call, on matrices that stay in the caches.
//   - The peak of a machine is what its processor multiplies and adds in registers, with no memory in the way
//     ([Doctor]).
package bench
