package tflite

import "fmt"

// Code is the number of an operator.
type Code int32

// The operators that are known.
const (
	Add             Code = 0
	AveragePool2D   Code = 1
	Concatenation   Code = 2
	Conv2D          Code = 3
	DepthwiseConv2D Code = 4
	Dequantize      Code = 6
	FullyConnected  Code = 9
	Logistic        Code = 14
	MaxPool2D       Code = 17
	Mul             Code = 18
	ReLU            Code = 19
	ReLU6           Code = 21
	Reshape         Code = 22
	Softmax         Code = 25
	Tanh            Code = 28
	Pad             Code = 34
	Transpose       Code = 39
	Mean            Code = 40
	Sub             Code = 41
	Cast            Code = 53
	Maximum         Code = 55
	PadV2           Code = 60
	Slice           Code = 65
	Sum             Code = 74
	Rsqrt           Code = 76
	ReduceMax       Code = 82

	SquaredDifference Code = 99

	Quantize    Code = 114
	HardSwish   Code = 117
	BatchMatMul Code = 126
	Gelu        Code = 150
)

func (c Code) String() string {
	if o, ok := operators()[c]; ok {
		return o.name
	}
	return fmt.Sprintf("operator %d", int32(c))
}

// Field is a setting of operators.
type Field int

// The settings.
const (
	Padding Field = iota // SamePadding or ValidPadding
	StrideWidth
	StrideHeight
	DilationWidth
	DilationHeight
	DepthMultiplier
	FilterWidth
	FilterHeight
	Activation  // NoActivation …
	TurnedA     // 1: the last two axes of the first input change places
	TurnedB     // of the second
	Approximate // 1: GELU by a tanh
	KeepDims    // 1: axes that are reduced stay, of length 1; or those before the last of a dense layer
	Axis
	From // Type that is cast
	To   // Type that is cast to
	beta // of a softmax: always 1
)

// Values of settings.
const (
	SamePadding  = 0
	ValidPadding = 1

	NoActivation    = 0
	ReLUActivation  = 1
	ReLU6Activation = 3
)

// operator is how the options of one lie in a file.
type operator struct {
	name    string
	options byte // number of the options' table; 0: there is none
	fields  []slot
}

// slot is a field of an options' table.
type slot struct {
	at    int // number in the table
	field Field
	size  int // bytes of the number
	least int // what is left out stands for
}

func operators() map[Code]operator {
	fused := func(at int) slot { return slot{at, Activation, 1, 0} }
	pool := []slot{{0, Padding, 1, 0}, {1, StrideWidth, 4, 0}, {2, StrideHeight, 4, 0}, {3, FilterWidth, 4, 0}, {4, FilterHeight, 4, 0}, fused(5)}
	return map[Code]operator{
		Add:           {"ADD", 11, []slot{fused(0)}},
		AveragePool2D: {"AVERAGE_POOL_2D", 5, pool},
		Concatenation: {"CONCATENATION", 10, []slot{{0, Axis, 4, 0}, fused(1)}},
		Conv2D: {"CONV_2D", 1, []slot{
			{0, Padding, 1, 0}, {1, StrideWidth, 4, 0}, {2, StrideHeight, 4, 0}, fused(3), {4, DilationWidth, 4, 1}, {5, DilationHeight, 4, 1},
		}},
		DepthwiseConv2D: {"DEPTHWISE_CONV_2D", 2, []slot{
			{0, Padding, 1, 0}, {1, StrideWidth, 4, 0}, {2, StrideHeight, 4, 0}, {3, DepthMultiplier, 4, 0}, fused(4), {5, DilationWidth, 4, 1}, {6, DilationHeight, 4, 1},
		}},
		Dequantize:     {"DEQUANTIZE", 38, nil},
		FullyConnected: {"FULLY_CONNECTED", 8, []slot{fused(0), {2, KeepDims, 1, 0}}},
		Logistic:       {"LOGISTIC", 0, nil},
		MaxPool2D:      {"MAX_POOL_2D", 5, pool},
		Mul:            {"MUL", 21, []slot{fused(0)}},
		ReLU:           {"RELU", 0, nil},
		ReLU6:          {"RELU6", 0, nil},
		Reshape:        {"RESHAPE", 17, nil},
		Softmax:        {"SOFTMAX", 9, []slot{{0, beta, 4, 0}}},
		Tanh:           {"TANH", 0, nil},
		Pad:            {"PAD", 22, nil},
		Transpose:      {"TRANSPOSE", 26, nil},
		Mean:           {"MEAN", 27, []slot{{0, KeepDims, 1, 0}}},
		Cast:           {"CAST", 37, []slot{{0, From, 1, 0}, {1, To, 1, 0}}},
		PadV2:          {"PADV2", 43, nil},
		Quantize:       {"QUANTIZE", 89, nil},
		HardSwish:      {"HARD_SWISH", 91, nil},
		Gelu:           {"GELU", 116, []slot{{0, Approximate, 1, 0}}},
		Sub:            {"SUB", 28, []slot{fused(0)}},
		Maximum:        {"MAXIMUM", 39, nil},
		Slice:          {"SLICE", 48, nil},
		Sum:            {"SUM", 27, []slot{{0, KeepDims, 1, 0}}},
		ReduceMax:      {"REDUCE_MAX", 27, []slot{{0, KeepDims, 1, 0}}},
		Rsqrt:          {"RSQRT", 0, nil},
		BatchMatMul:    {"BATCH_MATMUL", 101, []slot{{0, TurnedA, 1, 0}, {1, TurnedB, 1, 0}}},

		SquaredDifference: {"SQUARED_DIFFERENCE", 76, nil},
	}
}
