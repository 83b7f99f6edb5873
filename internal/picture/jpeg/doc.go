// Package jpeg decodes JPEG files (ITU-T T.81) to 8-bit RGB: baseline,
// extended sequential and progressive, Huffman- or arithmetic-coded, 8 bits a
// sample, grey, YCbCr, RGB, CMYK and YCCK.
//
// It differs from image/jpeg in three ways that matter here:
//
//   - Its pixels are those of libjpeg-turbo, and so of Pillow, exactly: the
//     accurate integer inverse DCT, and chroma interpolated with the triangle
//     filter ("fancy upsampling") where image/jpeg repeats samples. What the
//     scans of an unfinished progressive file have not told is guessed alike.
//   - It decodes a region of a picture: every code has to be read, but blocks
//     outside of the region are not transformed nor converted. A centre crop
//     needs half of the work.
//   - A [Decoder] keeps its buffers.
//
// The words: a component is one channel of the file (Y, Cb, …) with its own
// sampling factors; a block is 8×8 samples of a component; an MCU is the
// group of blocks that an interleaved scan codes together.
package jpeg
