// Package quantise makes a trained model smaller: a stage whose weights rest as int8, float16 or bfloat16.
//
// In int8 the model also computes with bytes. The ranges of its values are found on training rows; the network may be trained
// further with them (quantisation-aware training, by package transfer). A gate holds it against the model in float32 on
// validation rows, twice: as this program computes it, and as runtimes do that round every value (package nn/simulate). While
// the gate does not hold, the layers that move the output most are left in float32, by measured sensitivity. If it cannot be
// made to hold, the stage fails and says what was reached.
package quantise
