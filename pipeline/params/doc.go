// Package params turns a YAML mapping into a struct, strictly, and back into
// whatever else a declaration of parameters is good for: canonical form for
// cache keys, documentation, JSON Schema.
//
// Parameters are a Go struct whose exported fields carry tags:
//
//	yaml:"name"       the key in YAML (needed)
//	doc:"text"        what it means, its unit and range
//	enum:"a,b,c"      the allowed strings
//	min:"0" max:"1"   the allowed range of a number, inclusive
//	above:"0"         an exclusive lower bound
//	required:"true"   must be given
//	recipe:"-"        does not change the result: kept out of cache keys
//	secret:"true"     such as a token: kept out of cache keys, and never shown
//
// Field types are bool, integers, floats, strings, [time.Duration], structs,
// pointers (nil: not given), slices and maps with string keys. A type with
// several spellings in YAML (a word or a mapping) implements [Decoder], and
// [Schemer] to say so in the JSON Schema. A text of which a part may be secret,
// as an address, implements [Concealer].
package params
