package finetune_test

import (
	"fmt"

	"github.com/tlpipe/tlpipe/stages/finetune"
)

// What the stage takes and gives, and how it stands in a pipeline.
func ExampleKind() {
	kind := finetune.Kind()
	for _, port := range kind.Inputs {
		fmt.Println("takes", port.Name, "of kind", port.Kind)
	}
	for _, port := range kind.Outputs {
		fmt.Println("gives", port.Name, "of kind", port.Kind)
	}
	fmt.Println(kind.Example)
	// Output:
	// takes data of kind features
	// takes model of kind model
	// takes source of kind images
	// gives model of kind model
	// gives last of kind model
	// gives twins of kind model
	// gives history of kind metrics
	// gives tasks of kind metrics
	// gives phases of kind metrics
	// gives diagnostics of kind metrics
	// net:
	//   uses: finetune
	//   from: images
	//   with: {backbone: efficientnet_lite0, strategy: progressive, early_stopping: {patience: 3}}
}
