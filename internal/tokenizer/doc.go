// Package tokenizer turns text into the token ids that a pre-trained text encoder takes, as the files beside its weights
// say: tokenizer.json, vocab.txt, vocab.json with merges.txt, or a SentencePiece model.
//
// # Terms
//
//   - A token is a piece of text with an id, its row in the encoder's embedding table. The vocabulary is all of them.
//   - A [Tokenizer] works in steps: added tokens are cut out; a normaliser rewrites what lies between them; a pre-tokeniser
//     cuts that into words; the model (WordPiece, byte-pair encoding, Unigram or whole words) cuts each word into tokens; a
//     template puts special tokens such as [CLS] around them.
//   - Added tokens are found in the text as they stand, whatever the model would make of them; special ones have a
//     meaning for the encoder.
//   - An [Encoder] is a tokenizer at work, with its memory: one for each goroutine.
//
// Nothing in the files is trusted: they are read within limits, and mistakes are errors that name the part. Truncation and padding
// that tokenizer.json may ask for are those of whoever wrote the file, not of the encoder, and are left out.
//
// The ids are those of Hugging Face's tokenizers (https://github.com/huggingface/tokenizers), version 0.23, which the
// tests hold them against.
package tokenizer
