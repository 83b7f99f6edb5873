// Package tiff decodes TIFF pictures to 8-bit RGB over a background.
//
// It reads what cameras, scanners, microscopes and Pillow write: classic TIFF and BigTIFF; strips and tiles; samples
// side by side or in planes; 1 to 32 bits, whole numbers or floats; grey, RGB, palettes, CMYK and YCbCr, with alpha
// or other extra samples; plain, or packed by PackBits, LZW, Deflate, Zstandard, JPEG, CCITT Group 3 (one-dimensional) or
// Group 4. Of a file with several pictures it reads the first.
//
// Sources: TIFF 6.0 (Aldus, 1992), the technical notes of Adobe Photoshop for Deflate, technical note 2 for JPEG,
// and libtiff where they leave something open. Nothing in a file is trusted: a strip is never unpacked to more than it
// holds, and what cannot be read is an error that says why.
package tiff
