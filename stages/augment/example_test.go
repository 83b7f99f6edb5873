package augment_test

import (
	"context"
	"fmt"

	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/stages/augment"
)

// A training picture gets two copies, a test picture none.
func Example() {
	kind := augment.Kind()
	with := kind.Params.(augment.Params)
	with.Copies, with.Flip, with.Rotate = 2, "horizontal", 0.1
	stage, err := kind.New(with)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	mapper, err := stage.(pipeline.RowWise).Open(ctx, &pipeline.Env{Seed: 1, Threads: 1}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer mapper.Close()
	rows, _, err := pipeline.MapRecord(ctx, stage.(pipeline.RowWise), mapper, pictures([2]string{"cat", "train"}, [2]string{"dog", "test"}))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(column(rows, "id"), column(rows, "copy"))
	// Output: [cat dog cat cat] [0 0 1 2]
}
