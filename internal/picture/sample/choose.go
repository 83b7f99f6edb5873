package sample

import (
	"sync"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// vectors tells whether the assembly is used.
var vectors = sync.OnceValue(func() bool {
	set, _ := kernel.InstructionSet() // an error means that another set is used, which it names
	return hasVectors && set != "portable"
})
