package preprocess_test

import (
	"context"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/stages/preprocess"
)

// The built-in pictures of one class, divided by object: the three styles of a
// clock are in one split.
func Example() {
	kind := preprocess.Kind()
	with := kind.Params.(preprocess.Params)
	with.Source = preprocess.Sources{{Builtin: "emoji", Only: map[string][]string{"label": {"clock"}}}}
	with.Split = preprocess.Split{Train: 0.7, Val: 0.15, Test: 0.15, By: "object", Exact: true}
	with.Size = preprocess.Size{Height: 32, Width: 32}
	stage, err := kind.New(with)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	env := &pipeline.Env{Threads: 1, Log: func(string, ...any) {}}
	listing, err := stage.(pipeline.Source).List(ctx, env)
	if err != nil {
		fmt.Println(err)
		return
	}
	mapper, err := stage.(pipeline.Source).Open(ctx, env, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer mapper.Close()
	rows, _, err := pipeline.MapRecord(ctx, stage.(pipeline.Source), mapper, listing.Rows)
	if err != nil {
		fmt.Println(err)
		return
	}
	splits := map[string]int{}
	at, _, _ := record.Column(rows.Schema(), record.Split)
	for i := range rows.NumRows() {
		splits[rows.Column(at).(*array.String).Value(int(i))]++
	}
	fmt.Println(rows.NumRows(), "rows:", splits)
	// Output: 63 rows: map[test:9 train:45 val:9]
}
