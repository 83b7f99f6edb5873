// Package limits is the kind of stage `budget`: it fails where a model is larger or slower than what it is to ship on allows.
//
// It is a stage of its own, and no parameter of those that make models: another limit trains nothing anew, and a limit that is
// missed does not take a trained model or its scores away.
//
//   - The size of a model is that of its weights as they are stored, with those of the frozen backbone that makes its features.
//   - Its latency is the time from the bytes of a picture file to the answer, one picture after the other: a percentile of a series
//     of pictures, the best of three series, since other work on the machine only makes it longer.
package limits
