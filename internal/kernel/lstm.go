package kernel

// lstmToken is a token of an LSTM at work, in one sweep over its units; recurrent.go says what is computed, operation by operation, with the
// same results.
//
// The assembly reads this struct at the offsets that lstm_test.go pins.
type lstmToken struct {
	gates  []float32 // [4·units]: the products with the input, and then the gates
	moved  []float32 // [4·units]: the products with the state before
	bias   []float32 // [4·units]
	before []float32 // the cell before; nil at the first token
	cell   []float32
	state  []float32 // or its gradient
	flow   []float32 // [4·units]: the gradients of what the gates are functions of
	memory []float32 // the gradient of the cell, and then of that before
	units  int
	first  int // 1 at the first token
}
