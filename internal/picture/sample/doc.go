// Package sample is the inner loops over 8-bit samples: the inverse DCT, the
// interpolation of chroma, colour conversion and resampling.
//
// Every operation is integer arithmetic with a defined result. It is there in
// portable Go, and for amd64 with AVX2 in assembly that gives the same bytes;
// the choice is made once, when the processor is asked. TLPIPE_KERNEL=portable
// forces the portable code, as it does for package kernel.
package sample
