package preprocess

import (
	"cmp"
	"context"
	"slices"

	"github.com/tlpipe/tlpipe/internal/dataset"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/pipeline"
)

// What is looked at to tell how large a source's pictures are: so many of them, and so much of each. It must not delay a plan.
const (
	mostInspected = 64
	mostOfPicture = 64 << 10
)

// sizes looks at the headers of some pictures, evenly among the rows; nil if none tells its size.
func sizes(ctx context.Context, parts []dataset.Part, table *dataset.Table) *pipeline.Sizes {
	set, err := dataset.Open(parts)
	if err != nil {
		return nil // what is wrong is told when the pictures are read
	}
	defer set.Close()
	decoder := picture.NewDecoder()
	var found [][2]int
	for i := range min(len(table.All), mostInspected) {
		row := i * len(table.All) / min(len(table.All), mostInspected)
		data, ok := set.Begin(ctx, table.Part(row), table.All[row].At, mostOfPicture)
		if !ok {
			continue
		}
		info, err := decoder.Inspect(data)
		switch {
		case err != nil: // what tells it may stand later in the file
		case info.Orientation.Sideways():
			found = append(found, [2]int{info.Height, info.Width})
		default:
			found = append(found, [2]int{info.Width, info.Height})
		}
	}
	if len(found) == 0 {
		return nil
	}
	slices.SortStableFunc(found, func(a, b [2]int) int { return cmp.Compare(a[0]*a[1], b[0]*b[1]) })
	return &pipeline.Sizes{Pictures: len(found), Smallest: found[0], Median: found[len(found)/2], Largest: found[len(found)-1]}
}
