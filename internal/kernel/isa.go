package kernel

import (
	"fmt"
	"os"
	"sync"
)

// EnvironmentVariable names the variable that forces an instruction set: avx512, avx2 or portable.
const EnvironmentVariable = "TLPIPE_KERNEL"

// isa is an instruction set, in ascending order of width.
type isa uint8

const (
	portable isa = iota
	avx2
	avx512
)

func (s isa) String() string {
	return [...]string{"portable", "avx2", "avx512"}[s]
}

// active is the instruction set in use, decided once.
var active = sync.OnceValue(func() isa {
	s, _ := choose(os.Getenv(EnvironmentVariable), detect())
	return s
})

// choose returns the instruction set that name asks for, or best when name is empty. A name that
// cannot be honoured is an error, and best is used instead.
func choose(name string, best isa) (isa, error) {
	if name == "" {
		return best, nil
	}
	for s := portable; s <= avx512; s++ {
		if s.String() != name {
			continue
		}
		if s > best {
			return best, fmt.Errorf("%s=%s: this processor has no %s; using %s", EnvironmentVariable, name, name, best)
		}
		return s, nil
	}
	return best, fmt.Errorf("%s=%s: want avx512, avx2 or portable; using %s", EnvironmentVariable, name, best)
}

// InstructionSet returns the name of the instruction set in use: avx512, avx2 or portable. The
// error tells that TLPIPE_KERNEL asked for one that could not be used.
func InstructionSet() (string, error) {
	s, err := choose(os.Getenv(EnvironmentVariable), detect())
	return s.String(), err
}

// Feature is an extension of the instruction set.
type Feature struct {
	Name    string `json:"name"`
	Present bool   `json:"present"`
	For     string `json:"for"` // what the kernels use it for
}

// Features lists the extensions that the kernels have code for on processors of this kind, and whether this one offers them: none where only
// portable Go runs.
func Features() []Feature { return features() }

// BestInstructionSet is the widest that processor and operating system offer, whatever TLPIPE_KERNEL says.
func BestInstructionSet() string { return detect().String() }
