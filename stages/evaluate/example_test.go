package evaluate_test

import (
	"fmt"

	"github.com/tlpipe/tlpipe/stages/evaluate"
)

// What the stage takes and gives, and how it stands in a pipeline.
func ExampleKind() {
	kind := evaluate.Kind()
	for _, port := range kind.Inputs {
		fmt.Println("takes", port.Name, "of kind", port.Kind)
	}
	for _, port := range kind.Outputs {
		fmt.Println("gives", port.Name, "of kind", port.Kind)
	}
	fmt.Println(kind.Example)
	// Output:
	// takes model of kind model
	// takes data of kind features
	// gives metrics of kind metrics
	// gives predictions of kind predictions
	// gives comparison of kind metrics
	// gives confusion of kind metrics
	// gives calibration of kind metrics
	// gives curves of kind metrics
	// gives label_errors of kind metrics
	// gives duplicates of kind metrics
	// gives mistakes of kind metrics
	// scores:
	//   uses: evaluate
	//   from: {model: head, data: features}
	//   with: {slices: [domain], cluster: object}
}
