// Package picture turns the bytes of a picture file into pixels of a given
// size: upright, opaque, RGB, 8 bits a channel.
//
// The words:
//
//   - A [Picture] is pixels, 3 bytes each, row by row.
//   - A [Fit] says how a picture of any size becomes one of a fixed size: by
//     which rule, with which filter.
//   - A [Decoder] does both steps, and decodes no more of the file than the
//     fit needs.
//   - Normalising is what is left to do before a network sees the pixels:
//     scaling, mean, standard deviation, order of the channels.
//
// Numbers are those of Pillow and torchvision: the fixed-point resampling of
// Pillow, exactly; torchvision's rounding of sizes and crops; the samples of
// libjpeg-turbo (package picture/jpeg) and the colours of libwebp. The inner
// loops are package picture/sample.
//
// Files are not trusted: sizes are checked before anything is allocated,
// and whatever is malformed gives an error with a reason for people.
package picture
