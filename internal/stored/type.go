package stored

// Type is the type of a tensor's elements, as the safetensors format names it.
type Type string

// The types whose numbers can be read.
const (
	F64  Type = "F64"
	F32  Type = "F32"
	F16  Type = "F16"  // IEEE 754 binary16
	BF16 Type = "BF16" // the upper half of an F32
)

// The types of which only the bytes are known.
const (
	I64    Type = "I64"
	U64    Type = "U64"
	I32    Type = "I32"
	U32    Type = "U32"
	I16    Type = "I16"
	U16    Type = "U16"
	I8     Type = "I8"
	U8     Type = "U8"
	Bool   Type = "BOOL"
	F8E4M3 Type = "F8_E4M3"
	F8E5M2 Type = "F8_E5M2"
	C64    Type = "C64" // complex: two F32
	C128   Type = "C128"
)

// Size returns the bytes of an element; 0 for a type that is not known.
func (t Type) Size() int {
	switch t {
	case C128:
		return 16
	case F64, I64, U64, C64:
		return 8
	case F32, I32, U32:
		return 4
	case F16, BF16, I16, U16:
		return 2
	case I8, U8, Bool, F8E4M3, F8E5M2:
		return 1
	}
	return 0
}

// Real tells whether the numbers are real ones, which can be read as float32.
func (t Type) Real() bool { return t == F64 || t == F32 || t == F16 || t == BF16 }
