// Package audio reads sound files and turns them into what networks take: log-mel spectrograms and cepstral coefficients.
//
// A clip is the samples of one recording, mixed down to one channel, in -1 … 1, at a rate of so many samples a second. A
// spectrogram divides it into frames: windows of some milliseconds, each a hop after the one before. Its bins are
// frequencies; a mel band is a weighted sum of neighbouring bins, the bands as wide as the ear tells pitches apart.
// Log-mel values are in decibels. Cepstral coefficients (MFCC) are the cosine transform of a frame's log-mel values.
//
// Numbers equal those of torchaudio, and of librosa where it differs and is asked for.
package audio
