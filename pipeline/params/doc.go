// Package params decodes a YAML mapping strictly into a struct, and derives from
// the same declaration the canonical form for cache keys, the documentation and
// the JSON Schema.
//
// Parameters are a Go struct whose exported fields carry tags:
//
//	yaml:"name"       the key in YAML (required)
//	doc:"text"        what it means, its unit and range
//	enum:"a,b,c"      the allowed strings
//	min:"0" max:"1"   the allowed range of a number, inclusive
//	above:"0"         an exclusive lower bound
//	required:"true"   must be given
//	recipe:"-"        does not affect the result: excluded from cache keys
//	secret:"true"     such as a token: excluded from cache keys, and never shown
//
// Field types are bool, integers, floats, strings, [time.Duration], structs,
// pointers (nil: not given), slices and maps with string keys. A type with
// several spellings in YAML (a word or a mapping) implements [Decoder], and
// [Schemer] to say so in the JSON Schema. A text that may contain a secret,
// such as a URL, implements [Concealer].
package params
