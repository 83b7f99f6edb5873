package preprocess

import (
	"fmt"

	"github.com/tlpipe/tlpipe/pipeline"
)

// Shares tells the shares of a stage's split.
func Shares(s pipeline.Stage) string {
	split := s.(*stage).params.Split
	return fmt.Sprint(split.Train, split.Val, split.Test)
}
