// Package encoder makes networks of pre-trained text encoders from the folders that Hugging Face's transformers and
// sentence-transformers write: BERT (and MiniLM, which is one), RoBERTa and DistilBERT.
//
// # Terms
//
//   - An [Encoder] is such a folder: an architecture with its sizes (config.json), weights (model.safetensors or
//     pytorch_model.bin, whole or in shards) and, from sentence-transformers, how one vector is made of those of the tokens
//     (modules.json, 1_Pooling). The tokenizer lies there too; package tokenizer reads it.
//   - A family is how the architecture is called in weights: the names of their tensors, and where positions begin.
//   - A block is a layer of the paper: attention and feed-forward network, each with its residual and layer norm.
//   - The pooled layer is the vector of a text. The network's axis of tokens varies; see [nn.Network.Bind].
//
// Nothing in the files is trusted: sizes are bounded, and what does not fit is an error that names it.
package encoder
