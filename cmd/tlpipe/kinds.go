package main

import "github.com/tlpipe/tlpipe/pipeline"

// kinds lists every kind of stage that a pipeline can use.
func kinds() []pipeline.Kind {
	return []pipeline.Kind{}
}
