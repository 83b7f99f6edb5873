package kernel

import "fmt"

// Gather copies rows of a table [count][columns]: row ids[i] becomes row i of dst. Ids that the table has
// not are a programmer's error.
func Gather(pool *Pool, dst, table []float32, ids []int32, count, columns int) {
	need("gather", "dst", dst, len(ids)*columns)
	need("gather", "table", table, count*columns)
	needIDs("gather", ids, count)
	pool.Each(ceilDiv(len(ids), rowGrain(columns)), func(_, i int) {
		grain := rowGrain(columns)
		for j := i * grain; j < min((i+1)*grain, len(ids)); j++ {
			copy(dst[j*columns:(j+1)*columns], table[int(ids[j])*columns:])
		}
	})
}

// ScatterAdd is the gradient of Gather with respect to the table: row i of src is added to row ids[i] of
// dst, [count][columns], which is zero before. Rows are added in the order of ids, whatever the threads.
func ScatterAdd(pool *Pool, dst, src []float32, ids []int32, count, columns int) {
	need("scatter", "dst", dst, count*columns)
	need("scatter", "src", src, len(ids)*columns)
	needIDs("scatter", ids, count)
	const band = 64 // columns of a thread
	pool.Each(ceilDiv(columns, band), func(_, i int) {
		lo, hi := i*band, min((i+1)*band, columns)
		for row := range count {
			clear(dst[row*columns+lo : row*columns+hi])
		}
		for j, id := range ids {
			sum := dst[int(id)*columns+lo : int(id)*columns+hi]
			for c, v := range src[j*columns+lo : j*columns+hi] {
				sum[c] += v
			}
		}
	})
}

func needIDs(operation string, ids []int32, count int) {
	for i, id := range ids {
		if id < 0 || int(id) >= count {
			panic(fmt.Sprintf("kernel: %s: id %d is %d, there are %d rows", operation, i, id, count))
		}
	}
}

// Permute writes a tensor with its axes in another order: axis i of dst is axis axes[i] of src, whose shape
// is given. dst must not overlap src.
func Permute(pool *Pool, dst, src []float32, shape, axes []int) {
	if len(axes) != len(shape) {
		panic(fmt.Sprintf("kernel: permute: %d axes of a shape of %d", len(axes), len(shape)))
	}
	size := 1
	strides := make([]int, len(shape)) // of src
	for i := len(shape) - 1; i >= 0; i-- {
		strides[i] = size
		size *= shape[i]
	}
	need("permute", "dst", dst, size)
	need("permute", "src", src, size)
	if size == 0 {
		return
	}
	last := len(axes) - 1
	run, step := shape[axes[last]], strides[axes[last]]
	rows := size / run
	grain := rowGrain(run)
	pool.Each(ceilDiv(rows, grain), func(_, i int) {
		for row := i * grain; row < min((i+1)*grain, rows); row++ {
			at, rest := 0, row
			for a := last - 1; a >= 0; a-- {
				n := shape[axes[a]]
				at += rest % n * strides[axes[a]]
				rest /= n
			}
			line := dst[row*run : (row+1)*run]
			if step == 1 {
				copy(line, src[at:])
				continue
			}
			for j := range line {
				line[j] = src[at+j*step]
			}
		}
	})
}
