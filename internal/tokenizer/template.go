package tokenizer

// template is the special tokens around a single text.
type template struct{ before, after []int32 }
