//go:build !unix

package budgettest

import "time"

// processorTime is not known: time is not held against a limit.
func processorTime() time.Duration { return 0 }
